"""Who was seen in a media, and whose face belongs to which voice."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from avt_memocmt.inference.results import SeenFace
from avt_memocmt.preprocessing.every_face import FaceRun
from avt_memocmt.preprocessing.face_tracker import FaceObservation

MOST_SEEN = 512
"""People who are remembered with a picture; beyond, who was seen longest ago is forgotten."""
MOST_VOICES = 64
"""Voices whose faces are remembered; beyond, the one that was heard longest ago is forgotten."""
MOST_SHIFT = 2.0
"""Most that the past of a voice adds to the log-odds that a face speaks, or takes from them."""
_PRIOR = 1.0  # seconds of speech, of each face, before anything was seen


@dataclass
class _Person:
    seconds: float = 0.0
    quality: float = -math.inf
    thumbnail: NDArray[np.uint8] | None = None
    id: str | None = None


class PeopleSeen:
    """The people that were seen so far, each with the best picture of their face.

    Args:
        period: seconds for which one look at a face counts.
    """

    def __init__(self, period: float) -> None:
        self._period = period
        self._people: dict[int, _Person] = {}  # who was seen last stands last
        self._untold: dict[FaceRun, _Person] = {}
        self._named = 0

    def add(self, run: FaceRun, face: FaceObservation) -> None:
        """Count one look at a face."""
        person = self._of(run)
        person.seconds += self._period
        quality = picture_quality(face)
        if quality > person.quality:
            person.quality, person.thumbnail = quality, face.crop

    def drop_untold(self, before: float) -> None:
        """Forget faces that were seen before a time, in seconds, for too short to be anybody's."""
        self._untold = {run: who for run, who in self._untold.items() if run.seen >= before}

    def id_of(self, run: FaceRun) -> str:
        """The id of the person whose face was followed; given at the first call."""
        person = self._of(run, tell=True)
        if person.id is None:
            self._named += 1
            person.id = f"F{self._named}"
        return person.id

    @property
    def seconds_alone(self) -> float:
        """For how long the only person was seen; 0 where several were."""
        return next(iter(self._people.values())).seconds if len(self._people) == 1 else 0.0

    def known_id(self, run: FaceRun) -> str | None:
        """The id of the person whose face was followed, if it has been given."""
        person = self._people.get(run.person) if run.is_told else None
        return None if person is None else person.id

    def ids(self) -> dict[int, str]:
        """The ids that were given, by the number of the person."""
        return {number: who.id for number, who in self._people.items() if who.id is not None}

    def faces(self) -> tuple[SeenFace, ...]:
        """Everybody who has an id, in the order of these."""
        named = [who for who in self._people.values() if who.id is not None]
        named.sort(key=lambda who: int(str(who.id)[1:]))
        return tuple(
            SeenFace(who.id, who.seconds, who.thumbnail)
            for who in named
            if who.id is not None and who.thumbnail is not None
        )

    def _of(self, run: FaceRun, tell: bool = False) -> _Person:
        if not (run.is_told or tell):
            return self._untold.setdefault(run, _Person())
        person = self._people.pop(run.person, _Person())
        early = self._untold.pop(run, None)
        if early is not None:
            person.seconds += early.seconds
            if early.quality > person.quality:
                person.quality, person.thumbnail = early.quality, early.thumbnail
        self._people[run.person] = person
        if len(self._people) > MOST_SEEN:
            del self._people[next(iter(self._people))]
        return person


class VoiceFaces:
    """Which faces spoke with which voice so far."""

    def __init__(self) -> None:
        self._seconds: dict[str, dict[str, float]] = {}  # which was heard last stands last
        self._latest: tuple[float, str, str, float] | None = None

    def note(self, start: float, voice: str, face: str, seconds: float) -> None:
        """Remember that a face spoke; what was said of the same utterance before is replaced.

        Args:
            start: of the utterance, in seconds.
            voice: label of the speaker.
            face: id of the face.
            seconds: of speech.
        """
        if self._latest is not None and self._latest[0] != start:
            self._keep(*self._latest[1:])
        self._latest = start, voice, face, seconds

    def shift(self, start: float, voice: str | None, face: str, seen: Collection[str]) -> float:
        """What the past of a voice adds to the log-odds that a face speaks.

        Args:
            start: of the utterance, in seconds; only what was before counts.
            voice: label of the speaker; None where it is not known.
            face: id of the face.
            seen: ids of all faces that are seen beside it.
        """
        if self._latest is not None and self._latest[0] != start:
            self._keep(*self._latest[1:])
            self._latest = None
        known = self._seconds.get(voice or "", {})
        here = [known.get(other, 0.0) + _PRIOR for other in seen]
        if not known or face not in seen:
            return 0.0
        # Against what each of them had without a past.
        share = (known.get(face, 0.0) + _PRIOR) / sum(here) * len(here)
        odds = math.log(share) if any(other in known for other in seen) else 0.0
        return max(-MOST_SHIFT, min(MOST_SHIFT, odds))

    def _keep(self, voice: str, face: str, seconds: float) -> None:
        faces = self._seconds.pop(voice, {})
        faces[face] = faces.get(face, 0.0) + seconds
        self._seconds[voice] = faces
        if len(self._seconds) > MOST_VOICES:
            del self._seconds[next(iter(self._seconds))]


def picture_quality(face: FaceObservation) -> float:
    """How well a face can be recognised in its picture: large, sharp and seen from the front."""
    if face.face is None:
        return 0.0
    sharpness = float(cv2.Laplacian(cv2.cvtColor(face.crop, cv2.COLOR_RGB2GRAY), cv2.CV_32F).std())
    return math.log1p(sharpness) + math.log(max(face.face.side, 1.0)) + 2 * _frontal(face)


def _frontal(face: FaceObservation) -> float:
    """1 where the nose lies midway between the eyes, 0 where it lies on the line of one of them."""
    assert face.face is not None
    left, right, nose = face.face.landmarks[:3].astype(np.float64)
    across = right - left
    share = float((nose - left) @ across / max(float(across @ across), 1e-9))
    return max(0.0, 1 - 2 * abs(share - 0.5))
