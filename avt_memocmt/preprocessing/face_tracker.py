"""Follows one face through the frames of a video and crops it, aligned."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from avt_memocmt.media.types import VideoFrame
from avt_memocmt.preprocessing.face_alignment import CROP_SIZE, crop_face, resize, upscale_small
from avt_memocmt.preprocessing.face_boxes import Face, same_face
from avt_memocmt.preprocessing.face_detectors import SEARCH_SIDE, FaceDetector

SMALL_PICTURE = 160
"""Pictures are enlarged before detection if their shorter side, in pixels, is below this."""

GLANCE_SIDE = 224
"""Side, in pixels, of the part of a picture around the last place of a face, as it is searched."""

_CLOSE_SIDE = 1280
"""Long side, in pixels, to which a large picture in which nothing was found is scaled down to be
searched again: faces of 24 pixels in a picture of 1920 have 16 then, and are found."""
_CLOSE_EVERY = 2.0
"""Seconds from one such search of a video to the next, because it takes as long as four others."""

_GLANCE_REACH = 2.0  # sides of the face
PATIENCE = 1.0
"""Seconds a face may go unseen before another is chosen."""

# Mean absolute difference of successive 16x16 thumbnails, of 255. Measured on GRID: up to 3 within
# a clip, 36 (median) between clips, 15 to 18 when the camera turns by 5 % of the width.
_CUT_DIFFERENCE = 25.0

FacePolicy = Literal["largest", "central"]


@dataclass(frozen=True)
class FaceObservation:
    """The followed face in one picture.

    Attributes:
        time: seconds from the start of the media.
        face: where it lies in the picture; None only where a small still was taken as a face.
        crop: the aligned face, uint8 RGB [112, 112, 3].
        n_faces: faces in that picture; None where only the followed one was looked for.
        track: number of the followed person, from 0; one more each time that a face is chosen.
    """

    time: float
    face: Face | None
    crop: NDArray[np.uint8]
    n_faces: int | None
    track: int


def crop_still(
    image: NDArray[np.uint8], detector: FaceDetector
) -> tuple[FaceObservation | None, list[str]]:
    """The largest face of a still picture, aligned.

    Args:
        image: RGB [height, width, 3].
        detector: see `make_detector`.

    Returns:
        The observation and warnings. Where no face is found, a picture under `SMALL_PICTURE` is
        taken as an aligned face ("image_used_as_face"); a larger one gives None and "no_face".
    """
    faces = find_faces(image, detector, closely=True)
    if faces:
        face = max(faces, key=lambda face: face.area)
        return FaceObservation(0.0, face, crop_face(image, face), len(faces), 0), []
    if min(image.shape[:2]) < SMALL_PICTURE:
        crop = resize(image, CROP_SIZE, CROP_SIZE)
        return FaceObservation(0.0, None, crop, 0, 0), ["image_used_as_face"]
    return None, ["no_face"]


def find_faces(
    image: NDArray[np.uint8], detector: FaceDetector, closely: bool = False
) -> list[Face]:
    """Faces of a picture in its own pixels; small pictures are enlarged for the detector.

    Args:
        image: RGB [height, width, 3].
        detector: see `make_detector`.
        closely: if no face is found in a large picture, look for small ones.
    """
    picture = upscale_small(image, SMALL_PICTURE)
    factor = image.shape[1] / picture.shape[1]
    faces = detector.detect(picture)
    if closely and not faces and max(picture.shape[:2]) > SEARCH_SIDE:
        faces = detector.detect(picture, _CLOSE_SIDE)
    return [face.scaled(factor) for face in faces]


def find_near(image: NDArray[np.uint8], before: Face, detector: FaceDetector) -> list[Face]:
    """Faces close to where one was in the picture before.

    Only a square of twice its size is searched, scaled to `GLANCE_SIDE`: a fraction of the time of
    a whole picture, and small faces are seen better.
    """
    height, width = image.shape[:2]
    side = max(2, round(_GLANCE_REACH * max(before.box[2] - before.box[0], before.side)))
    left, top = (round(middle - side / 2) for middle in before.centre)
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + side, width), min(top + side, height)
    if x1 <= x0 or y1 <= y0:
        return []
    factor = GLANCE_SIDE / max(x1 - x0, y1 - y0)
    across, down = (max(1, round(part * factor)) for part in (x1 - x0, y1 - y0))
    small = np.asarray(cv2.resize(image[y0:y1, x0:x1], (across, down)), dtype=np.uint8)
    return [face.scaled(1 / factor).shifted(x0, y0) for face in detector.detect(small)]


class FaceTracker:
    """Follows one person's face through a video; causal, with constant memory.

    The largest face (or the most central one, by `policy`) is chosen first. From then on the same
    face is followed: the one whose box overlaps it most, or lies nearest at a similar size. While
    it is not seen, nothing is reported. After more than a second without it, or after a scene cut,
    a face is chosen anew and gets a new track number. A picture is shown until the next one, so in
    a slide show the face of one picture is followed into the next, however late that comes.

    Attributes:
        searched: the faces of the last picture, where it was searched whole; None where a glance
            was enough.
        change: how much the last picture differs from the one before, mean grey levels of 255.
        is_cut: whether it began a new scene.

    Args:
        detector: see `make_detector`.
        policy: which face is chosen.
        min_face: smallest side of a face that counts, pixels of the frame.
        count_all: search every picture whole, so that all faces in it are counted. Otherwise the
            followed face is looked for where it was, and elsewhere only when it is not there.
    """

    def __init__(
        self,
        detector: FaceDetector,
        policy: FacePolicy = "largest",
        min_face: int = 24,
        count_all: bool = False,
    ) -> None:
        self._detector = detector
        self._policy = policy
        self._min_face = min_face
        self._count_all = count_all
        self.reset()

    def reset(self) -> None:
        """Forget everything, before another video."""
        self._followed: Face | None = None
        self._seen = -math.inf
        self._searched_closely = -math.inf
        self._was_shown = False  # whether the last picture showed the followed face
        self._track = -1
        self._thumbnail: NDArray[np.float32] | None = None
        self.searched: list[Face] | None = None
        self.change = 0.0
        self.is_cut = False

    def push(self, frame: VideoFrame) -> FaceObservation | None:
        """The followed face in the next picture, or None where it is not seen.

        Args:
            frame: pictures come in order of time.
        """
        is_late = frame.time - self._seen > PATIENCE
        self.change = self._difference(frame.image)
        self.is_cut = is_cut = self.change > _CUT_DIFFERENCE
        self.searched = None
        if is_cut or (is_late and not self._was_shown):
            self._followed = None
        if is_cut:
            self._searched_closely = -math.inf
        face, count = self._glance(frame.image), None
        if face is None:
            self.searched = faces = self._search(frame)
            count = len(faces)
            if self._followed is not None:
                face = same_face(self._followed, faces)
            if face is None and (self._followed is None or is_late):
                face = self._choose(faces, frame.image)
                self._track += face is not None
        self._was_shown = face is not None
        if face is None:
            return None
        self._followed, self._seen = face, frame.time
        crop = crop_face(frame.image, face)
        return FaceObservation(frame.time, face, crop, count, self._track)

    def _glance(self, image: NDArray[np.uint8]) -> Face | None:
        """The followed face, if it is near where it was; None too if all are to be counted."""
        if self._followed is None or self._count_all:
            return None
        near = self._usable(find_near(image, self._followed, self._detector))
        return same_face(self._followed, near)

    def _search(self, frame: VideoFrame) -> list[Face]:
        """The faces of a whole picture; small ones are looked for now and then."""
        is_due = frame.time - self._searched_closely >= _CLOSE_EVERY
        faces = find_faces(frame.image, self._detector, self._count_all or is_due)
        if is_due and not faces:
            self._searched_closely = frame.time
        return self._usable(faces)

    def _usable(self, faces: list[Face]) -> list[Face]:
        return [face for face in faces if face.side >= self._min_face]

    def _choose(self, faces: list[Face], image: NDArray[np.uint8]) -> Face | None:
        if self._policy == "largest":
            return max(faces, key=lambda face: face.area, default=None)
        middle = image.shape[1] / 2, image.shape[0] / 2
        return min(faces, key=lambda face: math.dist(face.centre, middle), default=None)

    def _difference(self, image: NDArray[np.uint8]) -> float:
        """How much this picture differs from the last one; 0 for the first."""
        last = self._thumbnail
        # Every fourth pixel will do, and is read in a fraction of the time.
        few = np.ascontiguousarray(image[::4, ::4])
        small = cv2.resize(few, (16, 16), interpolation=cv2.INTER_AREA)
        self._thumbnail = np.asarray(small, dtype=np.float32)
        return 0.0 if last is None else float(abs(self._thumbnail - last).mean())
