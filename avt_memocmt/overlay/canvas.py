"""Pictures that can be drawn on: upright, with square pixels and even sides, in 4:2:0 colours."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from av.video.frame import VideoFrame as DecodedFrame
from av.video.reformatter import ColorRange, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from avt_memocmt.media.display_picture import AS_STORED, PictureConverter, upright

Plane = NDArray[np.uint8]
_FORMAT = "yuv420p"


@dataclass(frozen=True)
class Canvas:
    """One picture of a film, which may be drawn on.

    Attributes:
        frame: the picture.
        planes: views of it: brightness [height, width], and two of colour of half the size.
    """

    frame: DecodedFrame
    planes: tuple[Plane, Plane, Plane]

    @classmethod
    def of(cls, frame: DecodedFrame) -> Canvas:
        """Views of a picture in 4:2:0 colours."""
        views = [
            np.frombuffer(memoryview(plane), np.uint8)[: plane.line_size * plane.height].reshape(
                plane.height, plane.line_size
            )[:, : plane.width]
            for plane in frame.planes
        ]
        return cls(frame, (views[0], views[1], views[2]))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        return self.frame.width, self.frame.height


class CanvasMaker:
    """Makes canvases of the decoded pictures of a stream, all of the size of the first.

    Args:
        stream: what they are decoded from.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._converter = PictureConverter(math.inf, stream)
        self._scaler = VideoReformatter()
        self._size: tuple[int, int] | None = None

    def make(self, frame: DecodedFrame) -> Canvas:
        """A copy of the picture as a viewer shows it; its timestamp is not carried over."""
        matrix = self._converter.turn(frame)
        is_turned = abs(matrix[0]) < abs(matrix[1])
        if self._size is None:
            width, height = (_even(n) for n in self._converter.square_size(frame))
            self._size = (height, width) if is_turned else (width, height)
        width, height = reversed(self._size) if is_turned else self._size
        picture = self._fitted(frame, width, height)
        if matrix == AS_STORED:
            return Canvas.of(picture)
        turned = Canvas.of(DecodedFrame(*self._size, _FORMAT))
        for target, plane in zip(turned.planes, Canvas.of(picture).planes, strict=True):
            target[:] = upright(plane, matrix)
        return turned

    def _fitted(self, frame: DecodedFrame, width: int, height: int) -> DecodedFrame:
        """The stored picture in the size and format of the film, safe to be written to."""
        is_full_range = frame.format.name.startswith("yuvj") or frame.color_range == ColorRange.JPEG
        fits = (frame.width, frame.height, frame.format.name) == (width, height, _FORMAT)
        if fits and not is_full_range:
            frame.make_writable()  # the decoder may still need the picture for others
            return frame
        return self._scaler.reformat(
            frame,
            width,
            height,
            _FORMAT,
            interpolation="BICUBIC",
            src_color_range=ColorRange.JPEG if is_full_range else None,
            dst_color_range=ColorRange.MPEG,
        )


def _even(side: int) -> int:
    """The codecs keep colour at half the resolution, so sides are even."""
    return max(2, side - side % 2)
