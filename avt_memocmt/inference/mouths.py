"""The mouths of the faces that are followed, at a rate at which speech moves them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from avt_memocmt.media.types import VideoFrame
from avt_memocmt.preprocessing.every_face import FaceRun, Seen
from avt_memocmt.preprocessing.face_alignment import CROP_SIZE, crop_part
from avt_memocmt.preprocessing.face_boxes import Face
from avt_memocmt.preprocessing.mouth_shape import REGION, REGION_LEFT, REGION_TOP
from avt_memocmt.preprocessing.speaking_face import MouthTrack

MOUTH_RATE = 25.0
"""Pictures each second in which mouths are read, as far as the media has so many."""
LONGEST_MOUTHS = 20.0
"""Seconds for which mouths are remembered; of a longer utterance its end decides."""
_LONGEST_GAP = 1.0
"""Seconds between two sampled pictures over which a face is taken to move evenly."""

ReadMouths = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Grey aligned faces uint8 [n, 112, 112] to the shapes of their mouths, float32 [n, k]; only
what lies around the mouth is filled in."""
_MOUTH = np.s_[REGION_TOP : REGION_TOP + REGION, REGION_LEFT : REGION_LEFT + REGION]


@dataclass
class _Mouth:
    """A mouth in one picture, grey [64, 64]; its shape is read when it is asked for."""

    time: float
    crop: NDArray[np.uint8] | None
    shape: NDArray[np.float32] | None = None


class Mouths:
    """Mouths in sampled pictures and in those between, in bounded memory.

    In a picture between two sampled ones a face lies on the way from its place in the one to that
    in the other. Shapes are read only of utterances that ask for them, many at a time.

    Args:
        read: see `ReadMouths`.
    """

    def __init__(self, read: ReadMouths) -> None:
        self._read = read
        self._tracks: dict[FaceRun, deque[_Mouth]] = {}
        self._between: deque[VideoFrame] = deque()
        self._last: tuple[float, int, dict[FaceRun, Face]] | None = None

    def see(self, frame: VideoFrame, seen: Sequence[Seen]) -> None:
        """Take the faces of a sampled picture."""
        faces = {item.run: item.face.face for item in seen if item.face.face is not None}
        self._place_between(frame.time, faces)
        for item in seen:
            grey = cv2.cvtColor(item.face.crop[_MOUTH], cv2.COLOR_RGB2GRAY)
            self._add(item.run, frame.time, np.asarray(grey, dtype=np.uint8))
        self._last = frame.time, frame.image.shape[1], faces
        self._forget(frame.time - LONGEST_MOUTHS)

    def glimpse(self, frame: VideoFrame) -> None:
        """Take a grey picture between two sampled ones."""
        if self._last is not None:
            self._between.append(frame)
            while self._between[0].time < frame.time - _LONGEST_GAP:
                self._between.popleft()

    def during(self, start: float, end: float) -> dict[FaceRun, MouthTrack]:
        """The mouths from one time to another, in seconds; forgets those before."""
        self._forget(start)
        if self._last is not None:
            # What comes next is not known yet; a quarter of a second moves a face little.
            self._place_between(end, self._last[2])
        wanted = {
            run: mouths
            for run, track in self._tracks.items()
            if (mouths := [mouth for mouth in track if mouth.time <= end])
        }
        self._read_shapes([mouth for mouths in wanted.values() for mouth in mouths])
        return {
            run: (
                np.array([mouth.time for mouth in mouths]),
                np.stack([mouth.shape for mouth in mouths if mouth.shape is not None]),
            )
            for run, mouths in wanted.items()
        }

    def _place_between(self, time: float, faces: dict[FaceRun, Face]) -> None:
        """Cut the faces out of the pictures before a time, at which they are where `faces` says."""
        while self._between and self._between[0].time <= time:
            frame = self._between.popleft()
            assert self._last is not None
            since, width, before = self._last
            if not since < frame.time or time - since > _LONGEST_GAP:
                continue
            share = (frame.time - since) / (time - since)
            for run in before.keys() & faces.keys():
                face = _on_the_way(before[run], faces[run], share)
                face = face.scaled(frame.image.shape[1] / width)
                crop = crop_part(frame.image, face, REGION_LEFT, REGION_TOP, REGION)
                self._add(run, frame.time, crop)

    def _add(self, run: FaceRun, time: float, crop: NDArray[np.uint8]) -> None:
        self._tracks.setdefault(run, deque()).append(_Mouth(time, crop))

    def _read_shapes(self, mouths: Sequence[_Mouth]) -> None:
        unread = [(mouth, mouth.crop) for mouth in mouths if mouth.crop is not None]
        if not unread:
            return
        faces = np.zeros((len(unread), CROP_SIZE, CROP_SIZE), dtype=np.uint8)
        for face, (_, crop) in zip(faces, unread, strict=True):
            face[_MOUTH] = crop
        for (mouth, _), shape in zip(unread, self._read(faces), strict=True):
            mouth.crop, mouth.shape = None, shape

    def _forget(self, before: float) -> None:
        for run, track in list(self._tracks.items()):
            while track and track[0].time < before:
                track.popleft()
            if not track:
                del self._tracks[run]


def _on_the_way(one: Face, other: Face, share: float) -> Face:
    """A face that has gone a share of the way from one place to another."""
    box = tuple(a + share * (b - a) for a, b in zip(one.box, other.box, strict=True))
    landmarks = one.landmarks + np.float32(share) * (other.landmarks - one.landmarks)
    return Face((box[0], box[1], box[2], box[3]), landmarks, one.score)
