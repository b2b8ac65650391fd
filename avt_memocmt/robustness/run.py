"""Measures how much worse a checkpoint gets when sound and pictures are damaged or missing.

The answers under each condition are kept in a small file, so that a stopped run can be resumed.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avt_memocmt.data.manifest import nominal_seconds
from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.files import write_atomically
from avt_memocmt.inference.recognizer import Recognizer
from avt_memocmt.inference.utterances import Utterance
from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.metrics.intervals import Difference, bootstrap_intervals, paired_differences
from avt_memocmt.metrics.scores import FAILED, scores
from avt_memocmt.preprocessing.face_detectors import FaceDetector, make_detector
from avt_memocmt.preprocessing.face_tracker import crop_still
from avt_memocmt.robustness.conditions import Condition, Trial
from avt_memocmt.robustness.samples import Sample, samples_sha256
from avt_memocmt.version import __version__


@dataclass(frozen=True)
class Answers:
    """What a checkpoint answered under one condition.

    Attributes:
        predicted: index into `EMOTIONS`, or `metrics.FAILED`, per sample.
        faces_not_found: small pictures that were taken as a face because none was found in them.
        seconds: computing time.
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
        changes: differences from the trial's first condition, on the same samples; empty for the
            first condition itself.
    """

    condition: str
    answers: Answers
    scores: dict[str, float]
    intervals: dict[str, list[float]]
    changes: dict[str, Difference]


class RobustnessRun:
    """Measures one checkpoint, and keeps the answers under every finished condition.

    Args:
        recognizer: of the checkpoint.
        checkpoint: SHA-256 of the checkpoint.
        folder: for the answers; exists.
        progress: called with the number of samples that were done since the last call.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        checkpoint: str,
        folder: Path,
        progress: Callable[[int], None] = lambda count: None,
    ) -> None:
        self._recognizer = recognizer
        self._detector = make_detector(recognizer.config.visual.detector)
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
            answers = self.answers(trial, condition)
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

    def answers(self, trial: Trial, condition: Condition) -> Answers:
        """The stored answers, if they are of the same checkpoint and samples, or new ones.

        Raises:
            AvtError: the folder cannot be written.
        """
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
        for sample in samples:
            guess, noticed = recognize(self._recognizer, self._detector, sample)
            predicted.append(guess)
            warnings.update(noticed)
            self._progress(1)
        return Answers(
            predicted=predicted,
            faces_not_found=warnings["image_used_as_face"],
            seconds=time.perf_counter() - started,
            version=__version__,
            checkpoint_sha256=self._checkpoint,
            data_sha256=data,
        )


def recognize(
    recognizer: Recognizer, detector: FaceDetector, sample: Sample
) -> tuple[int, Sequence[str]]:
    """Recognise one sample, as an utterance without a past.

    Args:
        recognizer: of the checkpoint.
        detector: looks for the face in the sample's picture.
        sample: sound, picture and words; any may be missing.

    Returns:
        Its class, an index into `EMOTIONS`, or `FAILED` where it holds nothing to judge; and the
        warnings.
    """
    face, warnings = None, list[str]()
    if sample.picture is not None:
        face, warnings = crop_still(np.repeat(sample.picture[:, :, None], 3, axis=2), detector)
    seconds = nominal_seconds(sample.words) if sample.words else 0.0
    if sample.sound is not None:
        seconds = len(sample.sound) / SAMPLE_RATE
    faces = () if face is None else (face,)
    heard = sample.sound is not None
    utterance = Utterance(
        0.0, seconds, sample.sound, faces, sample.words, is_speech=heard, warnings=tuple(warnings)
    )
    dialogue = recognizer.new_dialogue()
    turn = dialogue.prepare(utterance, "given" if utterance.text else "none")
    if not turn.tokens:
        return FAILED, turn.warnings
    return EMOTIONS.index(dialogue.decide(turn).likeliest), turn.warnings


def _stored(path: Path) -> Answers | None:
    try:
        return Answers(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
