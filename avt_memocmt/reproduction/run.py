"""Run a plan: text encoders, their tokens, networks, figures; what exists is not made again."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np

from avt_memocmt.config import Config
from avt_memocmt.config_file import load_config
from avt_memocmt.data.descriptor_statistics import value_statistics
from avt_memocmt.data.feature_store import FeatureStore
from avt_memocmt.data.index import UtteranceRecord
from avt_memocmt.data.labelled_dialogues import LabelledDialogue, load_dialogues
from avt_memocmt.data.set_baselines import with_baselines
from avt_memocmt.errors import AvtError
from avt_memocmt.evaluation.confusion_matrix import CONFUSION_FILE, draw_confusion
from avt_memocmt.evaluation.evaluation import Evaluation
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
from avt_memocmt.reproduction.jobs import Job, Result, done_in_order
from avt_memocmt.reproduction.plan import Plan, Row
from avt_memocmt.training.dialogues import train_dialogues

TRAIN, DEV = "train", "dev"
"""The split that every row is trained on, and the one that selects and measures it."""
LOG_FILE = "steps.jsonl"
"""File with the seconds that each job took, a JSON object a line."""


class Reproduction:
    """The table of a plan, and the folder with every checkpoint and store behind it.

    Args:
        plan: from `load_plan`.
        records: the index of the corpus, with the words to encode.
        stores: features of sound and face of the same utterances; where they hold words too, no
            text encoder is tuned, and the seeds are those of the other networks alone.
        work: folder for checkpoints, stores of text tokens and `LOG_FILE`.
        experiments: folder for results.csv, results.md and confusion_matrix.png.
        encoders: checkpoint whose text encoder made the stored words, if that was tuned.
    """

    def __init__(
        self,
        plan: Plan,
        records: Sequence[UtteranceRecord],
        stores: Sequence[FeatureStore],
        work: Path,
        experiments: Path,
        encoders: Path | None = None,
    ) -> None:
        self.plan = plan
        self.records = [record for record in records if record.split in (TRAIN, DEV)]
        self.stores = list(stores)
        self.work = work
        self.experiments = experiments
        self.encoders = encoders
        self._has_words = any("text" in store.manifest.modalities for store in stores)
        made_by = [store.manifest.extractor.get("text", {}) for store in stores]
        self._words_are_tuned = any("tuned_sha256" in made for made in made_by)

    def jobs(self) -> list[Job]:
        """Every run, seed by seed, so that a stopped table has complete seeds."""
        return [
            Job(row, seed)
            for seed in range(self.plan.text.seeds)
            for row in (self.plan.text, *self.plan.rows)
            if seed < row.seeds
        ]

    def run(
        self, done: Callable[[str], None] = lambda name: None, pool: Executor | None = None
    ) -> None:
        """Do every job that is not done yet and write the table after each.

        Args:
            done: called with the name of each job that is done, in their order.
            pool: does jobs side by side, one thread each, so that their number changes nothing;
                unless given, this process does one after another, with its threads.

        Raises:
            AvtError: the stores do not fit the plan, or a folder cannot be written.
        """
        writable_folder(self.work)
        writable_folder(self.experiments)
        self._record(self._measured_majority())
        results = self._one_by_one() if pool is None else self._side_by_side(pool)
        for job, result in results:
            self._record(result)
            if job.row is self._proposed and job.seed == 0:
                title = f"{job.row.name}, {DEV}, seed {job.seed}"
                counts = result.evaluation.counts
                draw_confusion(
                    counts, self.experiments / CONFUSION_FILE, title, result.evaluation.labels
                )
            entry = {"step": job.name, "seconds": round(result.seconds, 1)}
            with (self.work / LOG_FILE).open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
            done(job.name)

    def do(self, job: Job, pool: Executor | None = None) -> Result:
        """Train and measure the row of a job, where what it builds on is done.

        Args:
            job: one of `jobs`.
            pool: encodes the words of the corpus; processes on all processors unless given.

        Raises:
            AvtError: as of `run`.
        """
        began = time.monotonic()
        self._train(job, pool)
        evaluation, provenance = self._measured(job)
        return Result(evaluation, provenance, time.monotonic() - began)

    def do_alone(self, job: Job) -> Result:
        """`do` in a worker process, which may not start others."""
        with ThreadPoolExecutor(1) as thread:
            return self.do(job, thread)

    def _one_by_one(self) -> Iterator[tuple[Job, Result]]:
        for job in self.jobs():
            yield job, self.do(job)

    def _side_by_side(self, pool: Executor) -> Iterator[tuple[Job, Result]]:
        jobs = {job.name: job for job in self.jobs()}
        without_words = copy(self)
        without_words.records = []

        def submit(name: str) -> Future[Result]:
            sent = self if self._tunes_text(jobs[name]) else without_words
            return pool.submit(sent.do_alone, jobs[name])

        needs = {name: self._needed(job) for name, job in jobs.items()}
        for name, result in done_in_order(needs, submit):
            yield jobs[name], result

    def _needed(self, job: Job) -> set[str]:
        """Names of the jobs whose checkpoints or tokens a job reads."""
        if self._has_words or job.row is self.plan.text:
            return {job.checkpoint} - {job.name}
        return {Job(self.plan.text, job.seed).name, job.checkpoint} - {job.name}

    def _train(self, job: Job, pool: Executor | None) -> None:
        """Make the checkpoint of a job, and the tokens of a text encoder."""
        folder = self.work / job.checkpoint
        tunes_text = self._tunes_text(job)
        if job.row.of is None and not (folder / METRICS_FILE).is_file():
            settings = self._settings(job)
            stores, encoders = self.stores, self.encoders
            if not (tunes_text or self._has_words):
                stores = self._stores(job.seed)
                encoders = self.work / Job(self.plan.text, job.seed).checkpoint
            train_dialogues(settings, stores, folder, name=job.row.name, encoders=encoders)
        if tunes_text:
            self._encode_words(folder, job.seed, pool)

    def _encode_words(self, checkpoint: Path, seed: int, pool: Executor | None) -> None:
        config = load_config(checkpoint / CONFIG_FILE)
        plan = ExtractionPlan.of(self.records)
        extraction = Extraction(plan, config, checkpoint, self._words(seed))
        if pool is None:
            failures = extraction.run(workers=os.cpu_count() or 1)
        else:
            failures = extraction.run_in(pool)
        spoken = {record.key for record in self.records if record.text}
        for failure in failures:
            if failure.key in spoken:
                raise AvtError(f"{failure.key}: {failure.reason}")

    def _measured(self, job: Job) -> tuple[Evaluation, Provenance]:
        folder = self.work / job.checkpoint
        model, config = load_model(folder)
        dialogues = with_baselines(
            load_dialogues(self._stores(job.seed), DEV, config.model.modalities), "past"
        )
        evaluation = evaluate_dialogues(model, config, self._perturbed(job, dialogues))
        stores = self.stores if self._tunes_text(job) else self._stores(job.seed)
        data = data_sha256(evaluation, describe_features(stores))
        provenance = checkpoint_provenance(folder, config, DEV, data)
        return evaluation, replace(provenance, model=job.row.name)

    def _record(self, result: Result) -> None:
        record_result(self.experiments, result.evaluation, result.provenance)

    def _measured_majority(self) -> Result:
        config = self.plan.settings(self.plan.text, 0)
        train, dev = (load_dialogues(self.stores, split, ()) for split in (TRAIN, DEV))
        emotions = np.concatenate([dialogue.emotions for dialogue in train])
        model = Majority(emotions, len(train[0].labels)).eval()
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
        return Result(evaluation, provenance)

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

    def _settings(self, job: Job) -> Config:
        settings = self.plan.settings(job.row, job.seed, stored_words=self._has_words)
        if not self._words_are_tuned or self.encoders is None:
            return settings
        made_by = load_config(self.encoders / CONFIG_FILE).text
        return settings.model_copy(update={"text": made_by})

    def _tunes_text(self, job: Job) -> bool:
        return job.row is self.plan.text and not self._has_words

    def _stores(self, seed: int) -> list[FeatureStore]:
        if self._has_words:
            return self.stores
        return [*self.stores, FeatureStore.open(self._words(seed))]

    def _words(self, seed: int) -> Path:
        return self.work / f"text-tokens-seed{seed}"

    @property
    def _proposed(self) -> Row | None:
        """The row whose confusion matrix is drawn: the first of the proposed network."""
        kinds = ((row, self.plan.settings(row, 0).model.kind) for row in self.plan.rows)
        return next((row for row, kind in kinds if kind == "avt-memocmt"), None)
