"""Small pictures of faces for a page, each of which is in the page once."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from avt_memocmt.inference.results import MediaPrediction
from avt_memocmt.report.people import people

QUALITY = 80
"""Of the JPEGs, 0 to 100: about 4 kB each."""


@dataclass(frozen=True)
class Thumbnail:
    """A face for the page.

    Attributes:
        number: of the face among those of its input, from 1; part of an HTML id.
        jpeg: the picture.
    """

    number: int
    jpeg: bytes


def thumbnails(prediction: MediaPrediction) -> dict[str, Thumbnail]:
    """The faces that a page shows, by id: of the people with a lane, and those that counted."""
    wanted = {person.face for person in people(prediction)}
    wanted |= {spoken.face for spoken in prediction.utterances}
    shown = [face for face in prediction.faces if face.id in wanted]
    return {
        face.id: Thumbnail(number, jpeg(face.thumbnail))
        for number, face in enumerate(shown, start=1)
        if face.thumbnail is not None
    }


def jpeg(picture: NDArray[np.uint8]) -> bytes:
    """A picture, uint8 RGB [height, width, 3], as a small JPEG."""
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return data.tobytes()
