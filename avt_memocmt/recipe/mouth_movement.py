"""Fits what tells whose mouth moves with a sound, on films of people who talk."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.models.checkpoint import save_tensors
from avt_memocmt.preprocessing.audio_preprocess import load_audio
from avt_memocmt.preprocessing.face_alignment import crop_face
from avt_memocmt.preprocessing.face_boxes import Face, same_face
from avt_memocmt.preprocessing.face_detectors import FaceDetector, make_detector
from avt_memocmt.preprocessing.face_tracker import find_faces
from avt_memocmt.preprocessing.mouth_movement import CLOCK, movement, sound_features
from avt_memocmt.preprocessing.mouth_shape import MOUTH_SHAPE, MouthReader
from avt_memocmt.preprocessing.speaking_face import (
    Match,
    MouthTrack,
    SpeakingFaceModel,
)
from avt_memocmt.preprocessing.video_preprocess import sample_frames

_RIDGE = 3.0
"""Penalty of the regression, in units of the variance of a feature."""
_ROUNDS = 3
"""Fits, each with the delays of the clips that the one before found."""
_PATIENCE = 0.3
"""Seconds that a face may go unseen before it is another one."""
_LENGTHS = (0.5, 1.0, 1.6, 3.0)
"""Seconds of the stretches of speech that the odds are fitted on."""
_DRAWS = 2
"""Stretches of each length from each clip."""
_SILENT_STEPS = 12
"""Pictures at the end of a film that make a silent face."""
_OTHERS = 3
"""Other talkers, and silent faces, that a stretch of speech is held against."""
_SAME_TALKER = {"id2_vcd_swwp2s": "pwij3p"}
"""Films of GRID with the talker of another one, by that one's name."""
_SPEAKER_SHARE = 0.9
"""Of the mouths that move while there is speech, the share that says it: whoever is seen to speak
is mostly heard. Chosen, not measured; it says how well sound and movement must agree."""


@dataclass(frozen=True)
class Talk:
    """A film of somebody who talks.

    Attributes:
        corpus: GRID, whose talkers hold still while silent, or MELD.
        name: of the film.
        talker: who it is; films of one talker are left out together.
        samples: float32 [n], the sound, 16 kHz.
        track: the talker's face.
        delay: of the sound after the pictures, seconds, as far as is known.
    """

    corpus: str
    name: str
    talker: str
    samples: NDArray[np.float32]
    track: MouthTrack
    delay: float = 0.0

    @property
    def seconds(self) -> float:
        """Length of the sound."""
        return len(self.samples) / SAMPLE_RATE

    @property
    def ends_silent(self) -> bool:
        """Whether the talker has finished, and closed the mouth, before the end of the film."""
        last = self.track[0][-_SILENT_STEPS]
        return self.corpus == "GRID" and spoken_span(self)[1] < last


def read_talk(
    corpus: str, path: Path, talker: str, detector: FaceDetector, reader: MouthReader
) -> Talk:
    """A film's sound, and of all faces in it the one that is seen best, longest.

    Raises:
        AvtError: it cannot be read.
    """
    tracks: list[tuple[list[float], list[Face], list[NDArray[np.uint8]]]] = []
    for frame in sample_frames(path, CLOCK):
        faces = find_faces(frame.image, detector)
        for times, followed, crops in tracks:
            face = same_face(followed[-1], faces) if frame.time - times[-1] < _PATIENCE else None
            if face is not None:
                faces = [other for other in faces if other is not face]
                times.append(frame.time)
                followed.append(face)
                crops.append(crop_face(frame.image, face))
        tracks += [([frame.time], [face], [crop_face(frame.image, face)]) for face in faces]
    found = [(np.array(times), reader.read(np.stack(crops))) for times, _, crops in tracks]
    visible = MOUTH_SHAPE.index("visible")
    best = max(found, key=lambda track: track[1][:, visible].sum())
    return Talk(corpus, path.stem, talker, load_audio(path), best)


def load_talks(data: Path, reader: MouthReader) -> list[Talk]:
    """The films of GRID and of MELD in one folder.

    Args:
        data: holds grid/*.mpg, and real/*.mp4 with clips.csv, which names the speakers.
        reader: of the mouths.

    Raises:
        AvtError: a film cannot be read.
    """
    detector = make_detector("yunet")
    talks = [
        read_talk("GRID", path, _SAME_TALKER.get(path.stem, path.stem), detector, reader)
        for path in sorted((data / "grid").glob("*.mpg"))
    ]
    with (data / "real" / "clips.csv").open(encoding="utf-8", newline="") as file:
        speakers = {row["path"]: row["speaker"] for row in csv.DictReader(file)}
    return talks + [
        read_talk("MELD", path, speakers[path.name], detector, reader)
        for path in sorted((data / "real").glob("*.mp4"))
    ]


def silent_track(talk: Talk, seconds: float) -> MouthTrack:
    """The talker's face while silent: the last pictures of the film, to and fro."""
    shapes = talk.track[1][-_SILENT_STEPS:]
    times = np.arange(round(seconds * CLOCK) + 1)
    last = len(shapes) - 1
    return times / CLOCK, shapes[abs((times + last) % (2 * last) - last)]


def spoken_span(talk: Talk) -> tuple[float, float]:
    """From when to when the sound of a film has a voice, seconds."""
    voiced = np.flatnonzero(sound_features(talk.samples)[1])
    return voiced[0] / CLOCK, (voiced[-1] + 1) / CLOCK


def stretches(talk: Talk, seconds: float, count: int) -> list[tuple[float, float]]:
    """Some spans of speech of a length, spread evenly; one of all speech where it is shorter."""
    start, end = spoken_span(talk)
    if end - start <= seconds:
        return [(start, end)]
    return [(first, first + seconds) for first in np.linspace(start, end - seconds, count)]


def fit(talks: Sequence[Talk]) -> SpeakingFaceModel:
    """Fit expected movements and odds.

    Args:
        talks: of several talkers, some of which end silent.
    """
    for _ in range(_ROUNDS):
        model = SpeakingFaceModel(*_expectation(talks), silent=np.zeros(5), other=np.zeros(3))
        talks = [replace(talk, delay=_delay(model, talk)) for talk in talks]
    own, others, silent = _matches(model, talks)
    against_others = _logistic(own, others, ("agreement",))
    against_others[0] += np.log(_SPEAKER_SHARE / (1 - _SPEAKER_SHARE))
    against_silence = _logistic(own, silent, ("speed", "agreement"))
    return replace(model, silent=against_silence, other=against_others)


def save(model: SpeakingFaceModel, path: Path) -> None:
    """Write a model for `load_model`, in single precision."""
    arrays = {name: torch.from_numpy(array) for name, array in asdict(model).items()}
    save_tensors(arrays, path, torch.float32)


def _delay(model: SpeakingFaceModel, talk: Talk) -> float:
    (match,) = model.matches(talk.samples, 0.0, [talk.track])
    return talk.delay if match is None else match.delay


def _expectation(
    talks: Sequence[Talk],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Ridge regression from sound to movement: mean and scale of the features, and weights."""
    sounds, mouths = [], []
    for talk in talks:
        features, _ = sound_features(talk.samples)
        times, shapes = talk.track
        seen = movement(times + talk.delay, shapes, 0, len(features))
        values = seen.values[seen.known]
        sounds.append(features[seen.known])
        mouths.append(values / values.std(axis=0))
    features = np.vstack(sounds)
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-6
    features = (features - mean) / scale
    squares = features.T @ features + _RIDGE * len(features) * np.eye(features.shape[1])
    return mean, scale, np.linalg.solve(squares, features.T @ np.vstack(mouths))


def _matches(
    model: SpeakingFaceModel, talks: Sequence[Talk]
) -> tuple[list[Match], list[Match], list[Match]]:
    """Stretches of speech held against their talker, others who talk, and silent faces."""
    generator = np.random.default_rng(0)
    own: list[Match | None] = []
    others: list[Match | None] = []
    silent: list[Match | None] = []
    quiet = [talk for talk in talks if talk.ends_silent]
    for talk in talks:
        rivals = [other for other in talks if other.talker != talk.talker]
        for length in _LENGTHS:
            for start, end in stretches(talk, length, _DRAWS):
                sound = talk.samples[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
                chosen = generator.choice(len(rivals), _OTHERS)
                moved = [_moved(rivals[row].track, generator) for row in chosen]
                still = [
                    silent_track(quiet[row], end - start)
                    for row in generator.choice(len(quiet), _OTHERS)
                ]
                own += model.matches(sound, start, [talk.track])
                others += model.matches(sound, start, moved)
                silent += model.matches(sound, 0.0, still)
    kept = [[match for match in found if match is not None] for found in (own, others, silent)]
    return kept[0], kept[1], kept[2]


def _moved(track: MouthTrack, generator: np.random.Generator) -> MouthTrack:
    times, shapes = track
    return times + generator.uniform(-0.4, 0.4), shapes


def _logistic(
    positive: Sequence[Match], negative: Sequence[Match], names: Sequence[str]
) -> NDArray[np.float64]:
    """Logistic regression on quantities of a match and on each by the root of the seconds.

    Both classes weigh the same.

    Returns:
        [1 + 2 * names], the bias first.
    """
    matches = [*positive, *negative]
    values = np.array([[getattr(match, name) for name in names] for match in matches])
    roots = np.sqrt([[match.seconds] for match in matches])
    labels = np.repeat([1, 0], [len(positive), len(negative)])
    found = LogisticRegression(class_weight="balanced", max_iter=1000)
    found.fit(np.hstack([values, values * roots]), labels)
    return np.array([found.intercept_[0], *found.coef_[0]])
