"""Faces made unrecognisable: in a film, also between the pictures in which they were found, and in
the small pictures of a prediction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from avt_memocmt.inference.results import MediaPrediction, SampledFace
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.media.types import VideoFrame
from avt_memocmt.overlay.canvas import Canvas, Plane
from avt_memocmt.preprocessing.face_boxes import Face, same_face
from avt_memocmt.preprocessing.face_detectors import FaceDetector, make_detector
from avt_memocmt.preprocessing.face_tracker import find_faces

LOOKS = 5.0
"""Pictures a second in which all faces are looked for, whether or not they were followed."""
_CLOSE_SIDE = 1280
"""Pixels to which pictures are scaled down for that: twice as many as for a prediction, so that
faces in the background are found."""
_REACH = 0.35
"""Seconds before and after a look in which its faces are blurred too: the detector may miss a face
in one picture, and somebody may come in between two."""
_MARGIN = 0.35
"""Of the box of a face on each side, for hair, chin and movement."""
_CELLS = 5
"""Averages that remain of the shorter side of a blurred place, which is 1.7 faces wide."""

Bounds = tuple[float, float, float, float]
"""Left, top, right, bottom; pixels, or shares of the picture's sides."""


@dataclass(frozen=True)
class _Stretch:
    """A place that is blurred for a while.

    Attributes:
        start: seconds.
        end: seconds.
        bounds: shares of the picture's sides.
    """

    start: float
    end: float
    bounds: Bounds


class BlurredPlaces:
    """The places of a film that are blurred, asked for at times that do not run back.

    Args:
        media: the film.
        known: faces that a prediction has found.
        size: width and height, pixels, of the pictures that `known` refers to; None = none known.
        progress: called with the seconds read so far and those in all, if known.

    Raises:
        AvtError: the film cannot be decoded, or the weights of the detector are missing.
    """

    def __init__(
        self,
        media: Path,
        known: Sequence[SampledFace],
        size: tuple[int, int] | None,
        progress: Callable[[float, float | None], None],
    ) -> None:
        looks = _looks(media, make_detector("yunet"), progress)
        stretches = list(_stretches(looks))
        if size is not None:
            stretches += [_shown(face, size) for face in known]
        self._stretches = sorted(stretches, key=lambda stretch: stretch.start)
        self._next = 0
        self._active: list[_Stretch] = []

    def blur(self, canvas: Canvas, time: float) -> None:
        """Blur all faces of a picture, which is shown at this time in seconds."""
        while self._next < len(self._stretches) and self._stretches[self._next].start <= time:
            self._active.append(self._stretches[self._next])
            self._next += 1
        self._active = [stretch for stretch in self._active if stretch.end >= time]
        for left, top, right, bottom in _merged([stretch.bounds for stretch in self._active]):
            for plane in canvas.planes:
                height, width = plane.shape
                _blur(plane, (left * width, top * height, right * width, bottom * height))


def blur_faces(prediction: MediaPrediction) -> MediaPrediction:
    """The prediction with thumbnails on which nobody is recognised."""
    faces = tuple(replace(face, thumbnail=_blurred(face.thumbnail)) for face in prediction.faces)
    return replace(prediction, faces=faces)


def _blurred(picture: NDArray[np.uint8] | None) -> NDArray[np.uint8] | None:
    """RGB [height, width, 3], all of it blurred."""
    if picture is None:
        return None
    copy = picture.copy()
    _blur(copy, (0, 0, picture.shape[1], picture.shape[0]))
    return copy


def _blur(picture: Plane, bounds: Bounds) -> None:
    """Replace a part of a picture, in place, by a few averages that run into one another."""
    height, width = picture.shape[:2]
    x0, y0 = (max(0, int(np.floor(v))) for v in bounds[:2])
    x1, y1 = min(width, int(np.ceil(bounds[2]))), min(height, int(np.ceil(bounds[3])))
    if x0 >= x1 or y0 >= y1:
        return
    cell = max(1.0, min(x1 - x0, y1 - y0) / _CELLS)
    cells = (max(1, round((x1 - x0) / cell)), max(1, round((y1 - y0) / cell)))
    averages = cv2.resize(picture[y0:y1, x0:x1], cells, interpolation=cv2.INTER_AREA)
    smooth = cv2.GaussianBlur(averages, (3, 3), 0)
    picture[y0:y1, x0:x1] = cv2.resize(smooth, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)


_Look = tuple[float, list[tuple[Face, Bounds]]]
"""The time of a picture, and its faces with their bounds as shares of its sides."""


def _looks(
    media: Path, detector: FaceDetector, progress: Callable[[float, float | None], None]
) -> Iterator[_Look]:
    """The faces of the sampled pictures of a film."""
    with MediaReader(media, LOOKS, only="video") as reader:
        for frame in reader.events_ahead():
            if isinstance(frame, VideoFrame):
                height, width = frame.image.shape[:2]
                if max(height, width) < _CLOSE_SIDE:
                    faces = find_faces(frame.image, detector)
                else:
                    faces = detector.detect(frame.image, _CLOSE_SIDE)
                unit = (width, height, width, height)
                shares = [tuple(v / n for v, n in zip(f.box, unit, strict=True)) for f in faces]
                yield frame.time, list(zip(faces, shares, strict=True))
                progress(frame.time, reader.info.duration)


def _stretches(looks: Iterable[_Look]) -> Iterator[_Stretch]:
    """Each face around the time of its look, and its way to where the next look finds it."""
    before: _Look | None = None
    for look in looks:
        time, faces = look
        yield from (_around(time, bounds) for _, bounds in faces)
        for face, bounds in before[1] if before is not None else ():
            following = same_face(face, [other for other, _ in faces])
            if following is not None and before is not None:
                end = next(b for other, b in faces if other is following)
                yield _Stretch(before[0], time, _hull(_grown(bounds), _grown(end)))
        before = look


def _around(time: float, bounds: Bounds) -> _Stretch:
    return _Stretch(time - _REACH, time + _REACH, _grown(bounds))


def _shown(face: SampledFace, size: tuple[int, int]) -> _Stretch:
    """A face of a prediction, for as long as its picture counts and a little around that."""
    left, top, width, height = face.box
    across, down = size
    bounds = left / across, top / down, (left + width) / across, (top + height) / down
    return _Stretch(face.time - _REACH, face.until + _REACH, _grown(bounds))


def _grown(bounds: Bounds) -> Bounds:
    left, top, right, bottom = bounds
    across, down = _MARGIN * (right - left), _MARGIN * (bottom - top)
    return left - across, top - down, right + across, bottom + down


def _hull(one: Bounds, other: Bounds) -> Bounds:
    """The smallest bounds around both."""
    return (
        min(one[0], other[0]),
        min(one[1], other[1]),
        max(one[2], other[2]),
        max(one[3], other[3]),
    )


def _merged(places: list[Bounds]) -> list[Bounds]:
    """Places of which those that overlap are one."""
    merged: list[Bounds] = []
    for place in places:
        for other in [other for other in merged if _overlap(place, other)]:
            merged.remove(other)
            place = _hull(place, other)
        merged.append(place)
    return merged


def _overlap(one: Bounds, other: Bounds) -> bool:
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return across > 0 and down > 0
