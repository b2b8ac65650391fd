"""Which faces were on the screen, and when: a picture is shown until the next one."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from avt_memocmt.media.types import VideoFrame
from avt_memocmt.preprocessing.face_tracker import FaceObservation, FaceTracker

LONGEST_LIVE = 15.0
"""Seconds for which a picture of a live source counts without a newer one. Slide shows get by with
less; and a source that stalls must not show for ever a face that may be gone."""
_MOST_LOOKS = 5
_ROUNDING = 1e-6  # periods


class ShownFaces:
    """The faces seen lately, of which a held picture's counts for as long as it is shown.

    A picture is held if the next one comes two sampling periods later or more. It then counts once
    in each period, as if the video repeated it. Of the latest picture it is only known that it is
    shown so far.

    Args:
        tracker: follows the face; reset before use.
        period: seconds between two sampled pictures.
        is_live: whether the source may stall; then a picture counts for `LONGEST_LIVE` at most.
    """

    def __init__(self, tracker: FaceTracker, period: float, is_live: bool = False) -> None:
        self._tracker = tracker
        self._period = period
        self._longest = LONGEST_LIVE if is_live else math.inf
        # Time, the time beyond which it does not count, and the face.
        self._seen: deque[tuple[float, float, FaceObservation | None]] = deque()
        self._unsure: VideoFrame | None = None
        self._looks = 0

    def push(self, frame: VideoFrame) -> None:
        """Look for the face in the next picture."""
        self._look_again(frame.time)
        seen = self._tracker.push(frame)
        self._seen.append((frame.time, frame.time + self._longest, seen))
        is_first_look = seen is not None and seen.n_faces is not None
        self._unsure, self._looks = frame if is_first_look else None, 1

    def during(self, start: float, end: float) -> Iterator[FaceObservation]:
        """The faces on the screen during an utterance, in time order; forgets those before it.

        Args:
            start: seconds, not before that of the last call.
            end: seconds.
        """
        self._look_again(end)
        # A sampling period before it, so that the shortest utterance has a picture; none after it,
        # for which a stream would have to wait.
        while len(self._seen) > 1 and self._seen[1][0] <= start - self._period:
            self._seen.popleft()
        for (time, limit, face), (following, *_) in pairwise([*self._seen, (end, end, None)]):
            if face is None or time > end:
                continue
            for count in self._periods(time, min(following, limit), start, end):
                yield replace(face, time=time + count * self._period) if count else face

    def _look_again(self, time: float) -> None:
        """Look at a picture that is held until `time` as if the video repeated it.

        A face is placed more exactly where it is known to be than in the search of a whole picture,
        and a few looks later its place stays the same.
        """
        while self._unsure is not None:
            if time - self._unsure.time < (2 - _ROUNDING) * self._period:
                return
            again = VideoFrame(self._unsure.time + self._period, self._unsure.image)
            self._seen.append((again.time, self._seen[-1][1], self._tracker.push(again)))
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
