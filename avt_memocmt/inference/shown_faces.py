"""Which faces were on the screen, and when: a picture is shown until the next one."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.inference.results import SeenFace
from avt_memocmt.media.types import VideoFrame
from avt_memocmt.preprocessing.every_face import Seen
from avt_memocmt.preprocessing.face_tracker import FaceObservation

if TYPE_CHECKING:
    from avt_memocmt.inference.sampled_faces import FaceRecorder

LONGEST_LIVE = 15.0
"""Seconds for which a picture of a live source counts without a newer one. Slide shows get by with
less; and a source that stalls must not show for ever a face that may be gone."""
_MOST_LOOKS = 5
_ROUNDING = 1e-6  # periods


@dataclass(frozen=True)
class ShownPerson:
    """Somebody who was seen during an utterance.

    Attributes:
        id: of their face, "F1".
        speaks: whether their mouth moved with the sound.
        seconds: for which they were seen.
        faces: in time order.
    """

    id: str
    speaks: bool
    seconds: float
    faces: tuple[FaceObservation, ...]


@dataclass(frozen=True)
class FaceChoice:
    """Which face counts for an utterance.

    Attributes:
        faces: that face, in time order.
        id: of it; None where faces are not told apart, or none counts.
        people: everybody who was seen, where all were asked for.
        is_speaker_missing: whether faces were seen, but none that speaks.
    """

    faces: tuple[FaceObservation, ...]
    id: str | None = None
    people: tuple[ShownPerson, ...] = ()
    is_speaker_missing: bool = False


class Tracker(Protocol):
    """Finds the face that counts by its size or place; see `FaceTracker`."""

    def push(self, frame: VideoFrame) -> FaceObservation | None:
        """See `FaceTracker.push`."""
        ...


@dataclass(frozen=True)
class ShownPicture:
    """A picture that was shown: its time, the time beyond which it does not count, its faces."""

    time: float
    limit: float
    face: FaceObservation | None
    everyone: tuple[Seen, ...]


class ShownFaces:
    """The faces seen lately, of which a held picture's counts for as long as it is shown.

    A picture is held if the next one comes two sampling periods later or more. It then counts once
    in each period, as if the video repeated it. Of the latest picture it is only known that it is
    shown so far.

    Args:
        tracker: follows the face; reset before use.
        period: seconds between two sampled pictures.
        is_live: whether the source may stall; then a picture counts for `LONGEST_LIVE` at most.
        recorder: is given the faces of every picture, once.
    """

    def __init__(
        self,
        tracker: Tracker,
        period: float,
        is_live: bool = False,
        recorder: FaceRecorder | None = None,
    ) -> None:
        self._tracker = tracker
        self._recorder = recorder
        self._period = period
        self._longest = LONGEST_LIVE if is_live else math.inf
        self._seen: deque[ShownPicture] = deque()
        self._unsure: VideoFrame | None = None
        self._looks = 0

    def push(self, frame: VideoFrame) -> None:
        """Look for the face in the next picture."""
        self._look_again(frame.time)
        seen = self._look(frame, frame.time + self._longest)
        if self._recorder is not None:
            everyone = [(one.face, one.run) for one in self._everyone()]
            self._recorder.take(frame, everyone or ([(seen, None)] if seen is not None else []))
        is_first_look = seen is not None and seen.n_faces is not None
        self._unsure, self._looks = frame if is_first_look else None, 1

    @property
    def tells_all(self) -> bool:
        """Whether everybody who is seen is reported."""
        return False

    @property
    def faces(self) -> tuple[SeenFace, ...]:
        """Who was seen; here faces are not told apart, so nobody is named."""
        return ()

    @property
    def ids(self) -> Mapping[int, str]:
        """Ids of the faces of people, by the person's number."""
        return {}

    def glimpse(self, frame: VideoFrame) -> None:
        """Take a picture between two sampled ones; here nothing is seen in it."""

    def choose(
        self, start: float, end: float, speech: NDArray[np.float32] | None, speaker: str | None
    ) -> FaceChoice:
        """The face that counts for an utterance; forgets those before it.

        Args:
            start: seconds, not before that of the last call.
            end: seconds.
            speech: float32 mono 16 kHz; None where nobody is heard.
            speaker: who speaks, where that is known.
        """
        return FaceChoice(tuple(self.during(start, end)))

    def during(self, start: float, end: float) -> Iterator[FaceObservation]:
        """The faces on the screen during an utterance, in time order; forgets those before it.

        Args:
            start: seconds, not before that of the last call.
            end: seconds.
        """
        for time, picture in self._pictures(start, end):
            if picture.face is not None:
                yield shown_at(time, picture.face)

    def _look(self, frame: VideoFrame, limit: float) -> FaceObservation | None:
        """Find the faces of a picture and keep them."""
        face = self._tracker.push(frame)
        self._seen.append(ShownPicture(frame.time, limit, face, self._everyone()))
        return face

    def _everyone(self) -> tuple[Seen, ...]:
        """All faces of the picture that was just looked at."""
        return ()

    def _pictures(self, start: float, end: float) -> Iterator[tuple[float, ShownPicture]]:
        """The pictures on the screen, with each time at which they count, in seconds."""
        self._look_again(end)
        # A sampling period before it, so that the shortest utterance has a picture; none after it,
        # for which a stream would have to wait.
        while len(self._seen) > 1 and self._seen[1].time <= start - self._period:
            self._seen.popleft()
        for shown, following in pairwise([*self._seen, ShownPicture(end, end, None, ())]):
            if shown.time > end:
                continue
            gone = min(following.time, shown.limit)
            for count in self._periods(shown.time, gone, start, end):
                yield shown.time + count * self._period, shown

    def _look_again(self, time: float) -> None:
        """Look at a picture that is held until `time` as if the video repeated it.

        A face is placed more exactly where it is known to be than in the search of a whole picture,
        and a few looks later its place stays the same.
        """
        while self._unsure is not None:
            if time - self._unsure.time < (2 - _ROUNDING) * self._period:
                return
            again = VideoFrame(self._unsure.time + self._period, self._unsure.image)
            self._look(again, self._seen[-1].limit)
            self._looks += 1
            self._unsure = again if self._looks < _MOST_LOOKS else None

    def _periods(self, time: float, gone: float, start: float, end: float) -> range:
        """In which sampling periods, from its own on, a picture counts for an utterance.

        Args:
            time: of the picture, in seconds, at most `end`.
            gone: time of the next one, or at which this one ceases to count.
            start: of the utterance, in seconds.
            end: of the utterance, in seconds.
        """
        # Pictures at the usual rates lie a little less or more than a period apart.
        last = math.floor((min(end, gone - self._period) - time) / self._period + _ROUNDING)
        before = start - self._period
        first = 0 if time > before else math.floor((before - time) / self._period) + 1
        if last > 0 and gone > start:
            last = max(last, first)
        return range(first, max(last, 0) + 1)


def shown_at(time: float, face: FaceObservation) -> FaceObservation:
    """A face at another time at which its picture counts, in seconds."""
    return face if face.time == time else replace(face, time=time)
