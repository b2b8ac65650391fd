"""What the mouth of an aligned face does: how far open, how wide, how round."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from avt_memocmt.errors import AvtError
from avt_memocmt.preprocessing.face_alignment import CROP_SIZE
from avt_memocmt.preprocessing.onnx_session import small_session
from avt_memocmt.pretrained import CHECKPOINTS

MOUTH_SHAPE = ("inner opening", "outer opening", "width", "jaw", "corners", "visible")
"""What is read of a mouth, in units of the distance between the outer corners of the eyes.

In this order: the gap between the lips; from the upper edge of the upper lip to the lower edge of
the lower one; between the corners; from the base of the nose to the chin; how far the corners lie
above the gap; and how surely this is a face seen from the front (1 and more: surely; 0: not).
"""

SPEAKING_FACE = CHECKPOINTS / "speaking_face"
"""Folder of what this project trained to tell whose face speaks."""
READER_FILE = "mouth_reader.onnx"

REGION = 64
"""Side of the part of a crop that is looked at, pixels: nose to chin, cheek to cheek."""
REGION_TOP, REGION_LEFT = CROP_SIZE - REGION, (CROP_SIZE - REGION) // 2

_BATCH = 64


class MouthReader:
    """A small network that was taught by facial landmarks; see `recipe/mouth_reader.py`.

    Raises:
        AvtError: its file is missing.
    """

    def __init__(self, path: Path = SPEAKING_FACE / READER_FILE) -> None:
        if not path.is_file():
            raise AvtError(f"{path} is missing; install the package again.")
        self._network = small_session(path.read_bytes())

    def read(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The shape of every mouth.

        Args:
            crops: uint8 RGB [n, 112, 112, 3] or grey [n, 112, 112], as `crop_face` makes them.

        Returns:
            float32 [n, 6]; see `MOUTH_SHAPE`.
        """
        found = [np.zeros((0, len(MOUTH_SHAPE)), np.float32)]
        for first in range(0, len(crops), _BATCH):
            mouths = mouth_regions(crops[first : first + _BATCH])
            found += self._network.run(None, {"mouths": mouths})
        return np.concatenate(found)


def mouth_regions(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Aligned faces [n, 112, 112(, 3)] -> the network's input, float32 [n, 1, 64, 64] in [0, 1]."""
    parts = crops[:, REGION_TOP:, REGION_LEFT : REGION_LEFT + REGION]
    if parts.ndim == 4:
        parts = np.stack([cv2.cvtColor(part, cv2.COLOR_RGB2GRAY) for part in parts])
    return parts[:, None].astype(np.float32) / 255.0
