"""Plain pictures, and a detector that takes all but the black ones for a face."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.media.types import VideoFrame
from avt_memocmt.preprocessing.face_alignment import TEMPLATE
from avt_memocmt.preprocessing.face_boxes import Face


class MiddleFace:
    """Finds one face in the middle of each picture that is not black.

    Attributes:
        asked: size (height, width) of each picture searched, and the side it was scaled to.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[int, int, int]] = []

    def detect(self, image: NDArray[np.uint8], max_side: int = 640) -> list[Face]:
        height, width = image.shape[:2]
        self.asked.append((height, width, max_side))
        if image.max() == 0:
            return []
        side = min(height, width) / 2
        x, y = (width - side) / 2, (height - side) / 2
        points = (TEMPLATE * side + (x, y)).astype(np.float32)
        return [Face((x, y, x + side, y + side), points, 0.9)]


def plain(time: float, shade: int, size: tuple[int, int] = (96, 64)) -> VideoFrame:
    """A picture of one shade of grey; size is width and height."""
    return VideoFrame(time, np.full((size[1], size[0], 3), shade, np.uint8))
