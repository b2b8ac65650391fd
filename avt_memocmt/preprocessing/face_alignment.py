"""Turns a detected face into a square picture in a standard pose."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from avt_memocmt.preprocessing.face_boxes import Face

CROP_SIZE = 112
"""Side of an aligned face, pixels."""

TEMPLATE: NDArray[np.float32] = np.array(
    [(0.318, 0.372), (0.682, 0.372), (0.5, 0.582), (0.356, 0.749), (0.644, 0.749)],
    dtype=np.float32,
)
"""Where the five landmarks lie in an aligned face, as fractions of its side.

Measured: the mean of YuNet's landmarks over 1,500 random FER+ training pictures enlarged from 48 to
192 pixels (a face was found in 98.8 % of them), averaged with its mirror image. So an aligned face
looks like a FER+ picture.
"""

_MAX_OVERSAMPLING = 8


def crop_face(image: NDArray[np.uint8], face: Face, size: int = CROP_SIZE) -> NDArray[np.uint8]:
    """Cut out a face, turned, scaled and shifted as `face_transform` says.

    Args:
        image: RGB [height, width, 3].
        face: where it lies in the image.
        size: side of the result, pixels.

    Returns:
        uint8 RGB [size, size, 3]; beyond the picture its border is repeated.
    """
    return _warp(image, face_transform(face, size), size)


def crop_part(
    image: NDArray[np.uint8], face: Face, left: int, top: int, side: int
) -> NDArray[np.uint8]:
    """A square part of `crop_face`, without the work for the rest.

    Args:
        image: RGB [height, width, 3] or grey [height, width].
        face: where it lies in the image.
        left: where the part begins in the crop, pixels.
        top: the same from above.
        side: of the part, pixels.
    """
    matrix = face_transform(face)
    matrix[:, 2] -= left, top
    return _warp(image, matrix, side)


def face_transform(face: Face, size: int = CROP_SIZE) -> NDArray[np.float64]:
    """The [2, 3] map from points of the picture to points of `crop_face`, both in pixels.

    It puts the landmarks on `TEMPLATE`, or where they cannot be used, maps the square around the
    box onto the whole crop.
    """
    if usable_landmarks(face.landmarks):
        return similarity_transform(face.landmarks, TEMPLATE * size)
    x0, y0, x1, y1 = face.box
    scale = size / max(x1 - x0, y1 - y0, 1.0)
    shift_x, shift_y = (size / 2 - scale * middle for middle in face.centre)
    return np.array([[scale, 0, shift_x], [0, scale, shift_y]])


def usable_landmarks(landmarks: NDArray[np.float32]) -> bool:
    """Whether a face can be aligned by these landmarks: finite, and more than a pixel apart."""
    return bool(np.isfinite(landmarks).all()) and float(landmarks.std(axis=0).max()) > 1.0


def similarity_transform(
    source: NDArray[np.float32], target: NDArray[np.float32]
) -> NDArray[np.float64]:
    """The turn, scale and shift that map source points onto target points with least squares.

    Umeyama (1991), equations 40 to 42, in the plane: with points as complex numbers the turn and
    scale are one factor, the regression of the centred targets on the centred sources.

    Args:
        source: [n, 2].
        target: [n, 2].

    Returns:
        [2, 3]: ``target = matrix[:, :2] @ source + matrix[:, 2]``.

    Raises:
        ValueError: the source points are not finite or coincide.
    """
    if not usable_landmarks(source):
        raise ValueError("the landmarks are not finite or coincide, so they fix no transform")
    points = source.astype(np.float64) @ (1, 1j)
    goals = target.astype(np.float64) @ (1, 1j)
    centred = points - points.mean()
    factor = np.vdot(centred, goals - goals.mean()) / np.vdot(centred, centred).real
    shift = goals.mean() - factor * points.mean()
    return np.array(
        [[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]]
    )


def upscale_small(image: NDArray[np.uint8], min_side: int) -> NDArray[np.uint8]:
    """Enlarge a picture whose short side is under `min_side` pixels to that size.

    The long side stays within four times `min_side`, so that a thin strip is not blown up.
    """
    height, width = image.shape[:2]
    factor = min(min_side / min(height, width), max(1.0, 4 * min_side / max(height, width)))
    if factor <= 1.0:
        return image
    return resize(image, round(width * factor), round(height * factor))


def resize(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Resize RGB [h, w, 3]: cubic to enlarge, area averages (no aliasing) to shrink."""
    shrinks = width * height < image.shape[0] * image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (width, height), interpolation=method), dtype=np.uint8)


def _warp(image: NDArray[np.uint8], matrix: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """Apply a [2, 3] similarity; large faces are sampled densely, then averaged down."""
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    dense = int(np.clip(1 / max(scale, 1e-6), 1, _MAX_OVERSAMPLING))
    # OpenCV counts from the middle of the first pixel, this package from its corner.
    index_matrix = matrix * dense
    index_matrix[:, 2] += index_matrix[:, :2] @ (0.5, 0.5) - 0.5
    side = size * dense
    # Samples that lie no further apart than pixels, and are averaged, need no cubic between them.
    method = cv2.INTER_LINEAR if dense > 1 else cv2.INTER_CUBIC
    picture = cv2.warpAffine(
        image, index_matrix, (side, side), flags=method, borderMode=cv2.BORDER_REPLICATE
    )
    return resize(np.asarray(picture, dtype=np.uint8), size, size)
