"""Which of the faces of an utterance are worth encoding."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from avt_memocmt.preprocessing.video_preprocess_mtcnn import FaceObservation

_THUMBNAIL = 16
"""Side of the pictures that are compared, pixels: small, so that noise does not count."""


def changed_faces(faces: Sequence[FaceObservation], least: float) -> list[FaceObservation]:
    """The first face, and each that differs from the last one kept: by person, scene or look.

    Args:
        faces: of one utterance, in time order.
        least: mean absolute difference of the aligned faces, of 255 grey levels, from which they
            count as different; 0 keeps all.
    """
    kept: list[FaceObservation] = []
    last = np.zeros(0, np.float32)
    for face in faces:
        look = _thumbnail(face.crop)
        if not kept or face.track != kept[-1].track or float(abs(look - last).mean()) >= least:
            kept.append(face)
            last = look
    return kept


def _thumbnail(crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.float32)
