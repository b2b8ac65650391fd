"""How much worse a checkpoint gets when sound and pictures are damaged, or missing.

The answers under each condition are kept in a small file, so a stopped run goes on where it was.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from avt_memocmt.files import write_atomically
from avt_memocmt.metrics.intervals import Difference, bootstrap_intervals, paired_differences
from avt_memocmt.metrics.scores import scores
from avt_memocmt.robustness.conditions import Condition, Trial
from avt_memocmt.robustness.recognizer import SampleRecognizer
from avt_memocmt.robustness.samples import Sample, samples_sha256
from avt_memocmt.version import __version__

BATCH = 32
"""Samples recognised at once."""


@dataclass(frozen=True)
class Answers:
    """What a checkpoint said under one condition.

    Attributes:
        predicted: index into `EMOTIONS`, or `metrics.FAILED`, per sample.
        faces_not_found: small pictures that were taken as a face because none was found in them.
        seconds: of computing.
        version: of the package.
        checkpoint_sha256: of the checkpoint.
        data_sha256: of the samples in the state in which they were recognised.
    """

    predicted: list[int]
    faces_not_found: int
    seconds: float
    version: str
    checkpoint_sha256: str
    data_sha256: str


@dataclass(frozen=True)
class Measurement:
    """The scores under one condition.

    Attributes:
        condition: its name.
        answers: what the scores were computed from.
        scores: as of `metrics.scores`.
        intervals: 95 % bootstrap over samples.
        changes: from the trial's first condition, on the same samples; none for that one.
    """

    condition: str
    answers: Answers
    scores: dict[str, float]
    intervals: dict[str, list[float]]
    changes: dict[str, Difference]


class RobustnessRun:
    """Measures one checkpoint, and remembers every finished condition.

    Args:
        recognizer: of the checkpoint.
        checkpoint: the same, as `provenance.checkpoint_sha256` names it.
        folder: for the answers; exists.
        progress: called with the number of samples done.
    """

    def __init__(
        self,
        recognizer: SampleRecognizer,
        checkpoint: str,
        folder: Path,
        progress: Callable[[int], None] = lambda count: None,
    ) -> None:
        self._recognizer = recognizer
        self._checkpoint = checkpoint
        self._folder = folder
        self._progress = progress

    def measure(self, trial: Trial) -> list[Measurement]:
        """The scores of one trial under each of its conditions.

        Raises:
            AvtError: the folder cannot be written.
        """
        found: list[Measurement] = []
        truth = [sample.emotion for sample in trial.samples]
        # A sample is one group: only RAVDESS has speakers, and three are too few to be drawn.
        groups = range(len(truth))
        for condition in trial.conditions:
            answers = self._answers(trial, condition)
            guesses = answers.predicted
            reference = found[0].answers.predicted if found else None
            found.append(
                Measurement(
                    condition.name,
                    answers,
                    scores(truth, guesses),
                    bootstrap_intervals(truth, guesses, groups),
                    paired_differences(truth, guesses, reference, groups) if reference else {},
                )
            )
        return found

    def _answers(self, trial: Trial, condition: Condition) -> Answers:
        """Those of an earlier run on the same damaged samples, or new ones."""
        path = self._folder / f"{_slug(trial.name)}.{_slug(condition.name)}.json"
        samples = trial.damaged(condition)
        data = samples_sha256(samples)
        answers = _stored(path)
        key = (self._checkpoint, data, __version__)
        if answers and (answers.checkpoint_sha256, answers.data_sha256, answers.version) == key:
            self._progress(len(samples))
            return answers
        answers = self._recognize(samples, data)
        write_atomically(path, json.dumps(vars(answers)).encode())
        return answers

    def _recognize(self, samples: Sequence[Sample], data: str) -> Answers:
        started = time.perf_counter()
        predicted: list[int] = []
        warnings: Counter[str] = Counter()
        for first in range(0, len(samples), BATCH):
            guesses, noticed = self._recognizer.recognize(samples[first : first + BATCH])
            predicted += guesses
            warnings += noticed
            self._progress(len(guesses))
        return Answers(
            predicted=predicted,
            faces_not_found=warnings["image_used_as_face"],
            seconds=time.perf_counter() - started,
            version=__version__,
            checkpoint_sha256=self._checkpoint,
            data_sha256=data,
        )


def _stored(path: Path) -> Answers | None:
    try:
        return Answers(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
