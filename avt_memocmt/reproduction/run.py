"""Run a plan: text encoders, their tokens, networks, figures; what exists is not made again."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from avt_memocmt.config_file import load_config
from avt_memocmt.data.descriptor_statistics import value_statistics
from avt_memocmt.data.feature_store import FeatureStore
from avt_memocmt.data.index import UtteranceRecord
from avt_memocmt.data.labelled_dialogues import LabelledDialogue, load_dialogues
from avt_memocmt.data.set_baselines import with_baselines
from avt_memocmt.errors import AvtError
from avt_memocmt.evaluation.confusion_matrix import CONFUSION_FILE, draw_confusion
from avt_memocmt.evaluation.on_features import describe_features, evaluate_dialogues
from avt_memocmt.evaluation.perturbations import add_value_noise, shuffle_modality
from avt_memocmt.evaluation.provenance import (
    PAST_ONLY,
    Provenance,
    checkpoint_provenance,
    code_version,
    data_sha256,
)
from avt_memocmt.evaluation.results_table import record_result
from avt_memocmt.extraction.plan import ExtractionPlan
from avt_memocmt.extraction.run import Extraction
from avt_memocmt.files import writable_folder
from avt_memocmt.models.baselines import Majority
from avt_memocmt.models.checkpoint import CONFIG_FILE, METRICS_FILE, load_model
from avt_memocmt.reproduction.plan import Plan, Row
from avt_memocmt.training.dialogues import train_dialogues

TRAIN, DEV = "train", "dev"
"""The split that every row is trained on, and the one that selects and measures it."""
LOG_FILE = "steps.jsonl"
"""File with the seconds that each job took, a JSON object a line."""


@dataclass(frozen=True)
class Job:
    """One run of one row."""

    row: Row
    seed: int

    @property
    def name(self) -> str:
        """Name in the progress shown, as "without-audio-seed2"."""
        return _file_name(self.row.name, self.seed)

    @property
    def checkpoint(self) -> str:
        """Name of the checkpoint's folder; a row that trains nothing uses that of another row."""
        return _file_name(self.row.of or self.row.name, self.seed)


class Reproduction:
    """The table of a plan, and the folder with every checkpoint and store behind it.

    Args:
        plan: from `load_plan`.
        records: the index of the corpus, with the words to encode.
        stores: features of sound and face of the same utterances.
        work: folder for checkpoints, stores of text tokens and `LOG_FILE`.
        experiments: folder for results.csv, results.md and confusion_matrix.png.
    """

    def __init__(
        self,
        plan: Plan,
        records: Sequence[UtteranceRecord],
        stores: Sequence[FeatureStore],
        work: Path,
        experiments: Path,
    ) -> None:
        self.plan = plan
        self.records = [record for record in records if record.split in (TRAIN, DEV)]
        self.stores = list(stores)
        self.work = work
        self.experiments = experiments

    def jobs(self) -> list[Job]:
        """Every run, seed by seed, so that a stopped table has complete seeds."""
        return [
            Job(row, seed)
            for seed in range(self.plan.text.seeds)
            for row in (self.plan.text, *self.plan.rows)
            if seed < row.seeds
        ]

    def run(self, started: Callable[[str], None] = lambda name: None) -> None:
        """Do every job that is not done yet and write the table after each.

        Args:
            started: called with the name of each job.

        Raises:
            AvtError: the stores do not fit the plan, or a folder cannot be written.
        """
        writable_folder(self.work)
        writable_folder(self.experiments)
        self._measure_majority()
        for job in self.jobs():
            started(job.name)
            began = time.monotonic()
            self._train(job)
            self._measure(job)
            entry = {"step": job.name, "seconds": round(time.monotonic() - began, 1)}
            with (self.work / LOG_FILE).open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")

    def _train(self, job: Job) -> None:
        """Make the checkpoint of a job, and the tokens of a text encoder."""
        folder = self.work / job.checkpoint
        tunes_text = job.row is self.plan.text
        if job.row.of is None and not (folder / METRICS_FILE).is_file():
            settings = self.plan.settings(job.row, job.seed)
            stores, encoders = self.stores, None
            if not tunes_text:
                stores = self._stores(job.seed)
                encoders = self.work / Job(self.plan.text, job.seed).checkpoint
            train_dialogues(settings, stores, folder, name=job.row.name, encoders=encoders)
        if tunes_text:
            self._encode_words(folder, job.seed)

    def _encode_words(self, checkpoint: Path, seed: int) -> None:
        config = load_config(checkpoint / CONFIG_FILE)
        plan = ExtractionPlan.of(self.records)
        extraction = Extraction(plan, config, checkpoint, self._words(seed))
        failures = extraction.run(workers=os.cpu_count() or 1)
        spoken = {record.key for record in self.records if record.text}
        for failure in failures:
            if failure.key in spoken:
                raise AvtError(f"{failure.key}: {failure.reason}")

    def _measure(self, job: Job) -> None:
        folder = self.work / job.checkpoint
        model, config = load_model(folder)
        dialogues = with_baselines(
            load_dialogues(self._stores(job.seed), DEV, config.model.modalities), "past"
        )
        evaluation = evaluate_dialogues(model, config, self._perturbed(job, dialogues))
        stores = self.stores if job.row is self.plan.text else self._stores(job.seed)
        data = data_sha256(evaluation, describe_features(stores))
        provenance = checkpoint_provenance(folder, config, DEV, data)
        record_result(self.experiments, evaluation, replace(provenance, model=job.row.name))
        if job.row is self._proposed and job.seed == 0:
            title = f"{job.row.name}, {DEV}, seed {job.seed}"
            draw_confusion(evaluation.counts, self.experiments / CONFUSION_FILE, title)

    def _measure_majority(self) -> None:
        config = self.plan.settings(self.plan.text, 0)
        train, dev = (load_dialogues(self.stores, split, ()) for split in (TRAIN, DEV))
        model = Majority(np.concatenate([dialogue.emotions for dialogue in train])).eval()
        evaluation = evaluate_dialogues(model, config, dev)
        provenance = Provenance(
            model="Majority",
            seed=0,
            split=DEV,
            context=PAST_ONLY,
            selection="none",
            code=code_version(),
            checkpoint_sha256="",
            data_sha256=data_sha256(evaluation, describe_features(self.stores)),
        )
        record_result(self.experiments, evaluation, provenance)

    def _perturbed(
        self, job: Job, dialogues: Sequence[LabelledDialogue]
    ) -> Sequence[LabelledDialogue]:
        row = job.row
        if row.shuffle is not None:
            return shuffle_modality(dialogues, row.shuffle, job.seed)
        if row.noise is not None:
            train = load_dialogues(self.stores, TRAIN, [row.noise])
            _, deviations = value_statistics(train, row.noise)
            return add_value_noise(dialogues, row.noise, row.deviation, job.seed, deviations)
        return dialogues

    def _stores(self, seed: int) -> list[FeatureStore]:
        return [*self.stores, FeatureStore.open(self._words(seed))]

    def _words(self, seed: int) -> Path:
        return self.work / f"text-tokens-seed{seed}"

    @property
    def _proposed(self) -> Row:
        """The row whose confusion matrix is drawn: the first of the proposed network."""
        return next(
            row for row in self.plan.rows if self.plan.settings(row, 0).model.kind == "avt-memocmt"
        )


def _file_name(row: str, seed: int) -> str:
    letters = "".join(c if c.isalnum() else " " for c in row.lower())
    return f"{'-'.join(letters.split())}-seed{seed}"
