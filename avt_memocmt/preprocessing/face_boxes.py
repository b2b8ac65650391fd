"""Faces, and the geometry of boxes: overlap, suppression, and which face continues another."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]
"""[n, 5]: x0, y0, x1, y1 in pixels, score."""

_MIN_IOU = 0.2
_MAX_SHIFT = 0.75  # of the face's side, between two pictures
_MAX_GROWTH = 2.0  # ratio of sides, between two pictures


@dataclass(frozen=True)
class Face:
    """One detected face.

    Attributes:
        box: x0, y0, x1, y1 in pixels; may reach beyond the picture.
        landmarks: float32 [5, 2], x and y in pixels of the eye on the picture's left, the eye on
            its right, the nose tip, the left and the right corner of the mouth (for an upright
            face, as the viewer sees it).
        score: the detector's confidence in [0, 1].
    """

    box: tuple[float, float, float, float]
    landmarks: NDArray[np.float32]
    score: float

    @property
    def side(self) -> float:
        """The shorter side of the box, pixels."""
        return min(self.box[2] - self.box[0], self.box[3] - self.box[1])

    @property
    def area(self) -> float:
        """Area of the box, square pixels."""
        return (self.box[2] - self.box[0]) * (self.box[3] - self.box[1])

    @property
    def centre(self) -> tuple[float, float]:
        """Middle of the box, pixels."""
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2

    def scaled(self, factor: float) -> Face:
        """The same face in the picture resized by `factor`."""
        x0, y0, x1, y1 = (value * factor for value in self.box)
        return Face((x0, y0, x1, y1), (self.landmarks * factor).astype(np.float32), self.score)

    def shifted(self, right: float, down: float) -> Face:
        """The same face in a picture with so many more pixels on the left and on top."""
        x0, y0, x1, y1 = self.box
        box = (x0 + right, y0 + down, x1 + right, y1 + down)
        moved = self.landmarks + np.array((right, down), np.float32)
        return Face(box, moved.astype(np.float32), self.score)


def box_iou(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Shared area of two boxes (x0, y0, x1, y1) as a share of their union, 0 to 1."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0.0) * max(height, 0.0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return shared / max(sum(areas) - shared, 1e-9)


def non_maximum_suppression(
    boxes: Boxes, threshold: float, of_smaller: bool = False
) -> NDArray[np.intp]:
    """Indices of the boxes that remain when of overlapping ones only the best is kept.

    Args:
        boxes: see `Boxes`.
        threshold: overlap above which the box with the lower score goes.
        of_smaller: measure overlap as a share of the smaller box instead of the union (IoU).

    Returns:
        [kept], best score first.
    """
    order = np.argsort(-boxes[:, 4], kind="stable")
    areas = np.prod(np.maximum(boxes[:, 2:4] - boxes[:, :2], 0), axis=1)
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        top_left = np.maximum(boxes[best, :2], boxes[order, :2])
        bottom_right = np.minimum(boxes[best, 2:4], boxes[order, 2:4])
        shared = np.prod(np.maximum(bottom_right - top_left, 0), axis=1)
        whole = (
            np.minimum(areas[best], areas[order])
            if of_smaller
            else areas[best] + areas[order] - shared
        )
        order = order[shared <= threshold * whole]
    return np.array(kept, dtype=np.intp)


def shifted(boxes: Boxes, offsets: NDArray[np.float32]) -> Boxes:
    """Boxes [n, 5] whose corners are moved by fractions [n, 4] of their width and height."""
    sides = np.tile(boxes[:, 2:4] - boxes[:, :2], 2)
    return np.column_stack([boxes[:, :4] + offsets * sides, boxes[:, 4]])


def squared(boxes: Boxes) -> Boxes:
    """Boxes [n, 5] grown around their centres to squares."""
    centres = (boxes[:, :2] + boxes[:, 2:4]) / 2
    half = (boxes[:, 2:4] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.column_stack([centres - half, centres + half, boxes[:, 4]])


def same_face(followed: Face, faces: list[Face]) -> Face | None:
    """Return the face that continues `followed` in the next picture, or None.

    It is the face whose box overlaps most; where none overlaps, the nearest of a similar size.
    """
    overlapping = max(faces, key=lambda face: box_iou(face.box, followed.box), default=None)
    if overlapping is None or box_iou(overlapping.box, followed.box) >= _MIN_IOU:
        return overlapping
    near = [
        face
        for face in faces
        if math.dist(face.centre, followed.centre) <= _MAX_SHIFT * followed.side
        and 1 / _MAX_GROWTH <= face.side / followed.side <= _MAX_GROWTH
    ]
    return min(near, key=lambda face: math.dist(face.centre, followed.centre), default=None)
