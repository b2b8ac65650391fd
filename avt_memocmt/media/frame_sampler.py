"""Which pictures of a video are kept, and their conversion to upright RGB."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame as DecodedFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

_CLOCK_TOLERANCE = 0.002  # seconds: containers round timestamps to 1 ms
_UNLISTED = {"png", "apng"}
"""Codecs whose side data is never listed: when it holds a colour profile and EXIF, as screenshots
of macOS do, PyAV 18 frees the profile's name twice, and the process dies."""
_Matrix = tuple[int, int, int, int]


class FrameSampler:
    """Keeps the first picture and then the first one at or after each tick of a fixed clock.

    The ticks lie 1 / `frames_per_second` apart, from the first picture on, so a variable frame
    rate is honoured and a source slower than the clock is kept whole, never repeated.

    Raises:
        ValueError: `frames_per_second` is not positive.
    """

    def __init__(self, frames_per_second: float) -> None:
        if not frames_per_second > 0:
            raise ValueError(f"frames_per_second must be positive, got {frames_per_second}")
        self._rate = frames_per_second
        self._first: float | None = None
        self._next_tick = 0
        self._promised: dict[int, float] = {}

    def wants(self, time: float) -> bool:
        """Whether the picture at `time` (seconds, not decreasing) is kept."""
        if self._first is None:
            self._first = time
        tick = self._tick(time)
        if tick < self._next_tick:
            return False
        self._next_tick = tick + 1
        self._promised = {t: at for t, at in self._promised.items() if t > tick}
        return True

    def next_after(self, time: float) -> float:
        """The earliest time, seconds, of a picture kept after the one at `time`."""
        if self._first is None:
            self._first = time
        return self._first + (self._tick(time) + 1) / self._rate - _CLOCK_TOLERANCE

    def may_skip(self, time: float) -> bool:
        """Whether the picture at `time` (seconds, in any order) will not be kept.

        It will not if an earlier picture after the same tick was asked about before. Pictures are
        asked about in the order of the file, which is not the order of their times.
        """
        if self._first is None:
            return False
        tick = self._tick(time)
        if tick < self._next_tick:
            return True
        earliest = self._promised.setdefault(tick, time)
        self._promised[tick] = min(earliest, time)
        return earliest < time

    def _tick(self, time: float) -> int:
        """Number of the last tick at or before `time`, from 0."""
        assert self._first is not None
        return math.floor((time - self._first + _CLOCK_TOLERANCE) * self._rate)


class PictureConverter:
    """Converts decoded pictures to upright RGB, scaled down to `max_side` pixels.

    One converter serves a whole video: setting up the scaler costs more than a small picture.

    Args:
        max_side: pixels.
        codec: FFmpeg's name of what decoded the pictures.
    """

    def __init__(self, max_side: int, codec: str) -> None:
        self._max_side = max_side
        self._lists_side_data = codec not in _UNLISTED
        self._scaler = VideoReformatter()

    def rgb(self, frame: DecodedFrame) -> NDArray[np.uint8]:
        """The picture as uint8 RGB [height, width, 3], its longer side at most `max_side`."""
        scale = min(1.0, self._max_side / max(frame.width, frame.height))
        width, height = (max(1, round(side * scale)) for side in (frame.width, frame.height))
        converted = self._scaler.reformat(
            frame, width, height, format="rgb24", interpolation="AREA"
        )
        matrix = _display_matrix(frame) if self._lists_side_data else _rotation_matrix(frame)
        return _upright(np.asarray(converted.to_ndarray(), dtype=np.uint8), matrix)


def _upright(image: NDArray[np.uint8], matrix: _Matrix) -> NDArray[np.uint8]:
    """Apply the orientation that a display matrix asks for, to a quarter turn.

    The matrix maps (x, y) of the stored picture to (a x + c y, b x + d y) on the screen
    (libavutil/display.h).
    """
    a, b, c, d = matrix
    if abs(a) >= abs(b):
        flip_x, flip_y = a < 0, d < 0
    else:
        image = image.swapaxes(0, 1)
        flip_x, flip_y = c < 0, b < 0
    image = image[:: -1 if flip_y else 1, :: -1 if flip_x else 1]
    return np.ascontiguousarray(image)


def _display_matrix(frame: DecodedFrame) -> _Matrix:
    try:
        side_data: Any = frame.side_data  # PyAV's stubs take it for a plain dict
    except ValueError:
        # PyAV 18 cannot list the side data of a picture with EXIF.
        return _rotation_matrix(frame)
    matrix = next((data for data in side_data if data.type is Type.DISPLAYMATRIX), None)
    if matrix is None:
        return 1, 0, 0, 1
    values = np.frombuffer(bytes(matrix), dtype=np.int32)
    return int(values[0]), int(values[1]), int(values[3]), int(values[4])


def _rotation_matrix(frame: DecodedFrame) -> _Matrix:
    """From the rotation, counter-clockwise in degrees, which does not tell mirrored pictures."""
    angle = math.radians(frame.rotation)
    cos, sin = round(math.cos(angle)), round(math.sin(angle))
    return cos, -sin, sin, cos
