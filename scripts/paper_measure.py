"""Measures one thing for `paper_cost`, as a process of its own so that its memory is its own.

    python scripts/paper_measure.py WHAT WORK STEPS EMPTY

WHAT is "extraction" or the name of a way to train; WORK is the folder that `paper_cost` has filled;
EMPTY receives the figures in cost.json. All processes of one training share it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import torch
from paper_corpus import DEV, TRAIN, long_dialogues, train_lengths

from avt_memocmt.commands.settings import resolve_config
from avt_memocmt.config import Config
from avt_memocmt.data.feature_store import FeatureStore
from avt_memocmt.data.labelled_dialogues import LabelledDialogue, similar_length_batches
from avt_memocmt.data.meld.index import meld_records
from avt_memocmt.extraction.plan import ExtractionPlan
from avt_memocmt.extraction.run import Extraction
from avt_memocmt.models.predict import predict_dialogues
from avt_memocmt.training.dialogues import (
    DialogueTraining,
    fit_dialogues,
    hide_modalities,
    with_features,
)
from avt_memocmt.workers import default_workers, worker_pool

ROOT = Path(__file__).resolve().parents[1]
WARM_UP = 5
"""Steps before those that count. A compiler works in them, and later where shapes are new."""


@dataclass(frozen=True)
class Way:
    """One way to train: settings, `accelerate`'s processes, and whether its model is compiled."""

    settings: tuple[str, ...] = ()
    processes: int = 1
    is_compiled: bool = False


WAYS = {
    "fp32": Way(),
    "bf16 autocast": Way(("training.precision=bf16",)),
    "two processes": Way(processes=2),
    "BERT fine-tuned": Way(("training.text_encoder=fine-tuned",)),
    "torch.compile": Way(is_compiled=True),
}


@dataclass(frozen=True)
class ExtractionCost:
    """Seconds by the clock, bytes in the store, and peak memory of a worker in MB."""

    seconds_a_clip: float
    bytes_a_clip: float
    memory: float
    workers: int
    clips: int

    def hours(self) -> float:
        """Of all clips of MELD's train and dev splits."""
        return (TRAIN + DEV) * self.seconds_a_clip / 3600


@dataclass(frozen=True)
class TrainingCost:
    """What one way of training took.

    Attributes:
        step: seconds of a step of all processes, in the mean.
        utterances: trained on in a second.
        memory: peak of one process, MB; on a GPU the GPU's.
        warm_up: seconds of the first `WARM_UP` steps.
        epoch_steps: steps of an epoch on MELD's train split.
        dev: seconds to validate on one utterance.
    """

    step: float
    utterances: float
    memory: float
    warm_up: float
    epoch_steps: int
    dev: float

    def hours(self, epochs: int) -> float:
        """Of a whole training."""
        return epochs * (self.epoch_steps * self.step + DEV * self.dev) / 3600


def settings_of(work: Path, changes: Sequence[str] = ()) -> Config:
    """config.yaml with the encoders of the work folder."""
    return resolve_config(ROOT / "config.yaml", encoders=work / "encoders", overrides=[*changes])


def measure_extraction(work: Path, empty: Path) -> ExtractionCost:
    """Extract all clips again into an empty folder, after one clip that loads everything."""
    plan = ExtractionPlan.of(meld_records(work / "MELD"))
    warm = ExtractionPlan((tuple(plan.clips[:1]),))
    config, workers = settings_of(work), default_workers()
    with worker_pool(workers) as pool:
        Extraction(warm, config, None, empty / "warm").run_in(pool)
        began = time.perf_counter()
        failures = Extraction(plan, config, None, empty / "all").run_in(pool)
        seconds = time.perf_counter() - began
        memory = pool.submit(peak_memory).result()
    stored = sum(path.stat().st_size for path in FeatureStore.open(empty / "all").shards())
    if failures:
        raise SystemExit(f"{failures[0].path}: {failures[0].reason}")
    count = len(plan.clips)
    return ExtractionCost(seconds / count, stored / count, memory, workers, count)


def measure_training(work: Path, empty: Path, way: Way, steps: int) -> TrainingCost:
    """Train for `WARM_UP` and then `steps` steps, in this process of those that were started.

    Args:
        work: filled by `paper_cost`.
        empty: a folder, the same for all processes.
        way: names the settings; what else it says is done by who starts the processes.
        steps: of all processes together, as those of `TrainingCost`.
    """
    store = FeatureStore.open(work / "features")
    config = settings_of(work, way.settings)
    tuned = config.training.text_encoder == "fine-tuned"
    heard = [m for m in config.model.modalities if not (tuned and m == "text")]
    config = with_features(config, [store], heard)
    rows = list(store.rows(modalities=heard))
    lengths = train_lengths()
    # A short try validates on less.
    dev = long_dialogues(rows, lengths[:: 9 * max(1, 100 // steps)], "dev")
    training = DialogueTraining(config, long_dialogues(rows, lengths, "train"), dev)
    batches = TimedBatches(training, steps, tuned)
    fit_dialogues(
        training.model,
        empty / "training",
        config.training.model_copy(update={"epochs": 1}),
        len(batches.rows),
        batches,
        training.dev[:1],
        training.dims,
        encoder=getattr(training.model, "encoder", None),
        accelerator=training.accelerator,
    )
    began = time.perf_counter()
    predict_dialogues(training.model.eval(), training.dev, training.dims)
    validated = time.perf_counter() - began
    cuda = training.accelerator.device.type == "cuda"
    return TrainingCost(
        step=batches.seconds / steps,
        utterances=batches.utterances / batches.seconds,
        memory=torch.cuda.max_memory_allocated() / 2**20 if cuda else peak_memory(),
        warm_up=batches.warm_up,
        epoch_steps=batches.in_epoch // way.processes,
        dev=validated / sum(len(dialogue.turns) for dialogue in training.dev),
    )


class TimedBatches:
    """The first batches of an epoch, and when they were asked for.

    Attributes:
        rows: the batches of all processes, warm-up included.
        in_epoch: batches of a whole epoch.
        warm_up, seconds: of the first steps, and of those that count.
        utterances: in the latter.
    """

    def __init__(self, training: DialogueTraining, steps: int, reads_words: bool) -> None:
        settings = training.config.training
        self._training, self._reads_words = training, reads_words
        self._random = np.random.default_rng(settings.seed)
        rows = similar_length_batches(
            training.train,
            self._random,
            most_tokens=settings.token_budget,
            most_turns=settings.turn_budget,
        )
        processes = training.accelerator.num_processes
        self.in_epoch = len(rows)
        self.rows = list(islice(cycle(rows), (WARM_UP + steps) * processes))
        self._first = WARM_UP * processes
        self.warm_up = self.seconds = 0.0
        self.utterances = 0

    def __call__(self, epoch: int) -> Iterator[list[LabelledDialogue]]:
        """The batches; the trainer asks for the next ones when the step before is done."""
        chance = self._training.config.training.modality_dropout
        began = time.perf_counter()
        for number, rows in enumerate(self.rows):
            if number == self._first:
                now = time.perf_counter()
                self.warm_up, began = now - began, now
            dialogues = [self._training.train[row] for row in rows]
            if number >= self._first:
                self.utterances += sum(len(dialogue.turns) for dialogue in dialogues)
            yield [hide_modalities(d, chance, self._random, self._reads_words) for d in dialogues]
        self.seconds = time.perf_counter() - began


def peak_memory() -> float:
    """MB of memory that this process held at most; NaN where the system does not tell it."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return float("nan")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    """Write the figures of one thing."""
    if len(sys.argv) != 5:
        raise SystemExit(__doc__)
    what, work, steps, empty = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    cost: ExtractionCost | TrainingCost
    if what == "extraction":
        cost = measure_extraction(work, empty)
    else:
        cost = measure_training(work, empty, WAYS[what], steps)
    if os.environ.get("RANK", "0") == "0":
        (empty / "cost.json").write_text(json.dumps(asdict(cost)))


if __name__ == "__main__":
    main()
