"""Face detectors with five landmarks: YuNet (fast) and MTCNN (the paper's)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from avt_memocmt.errors import AvtError
from avt_memocmt.preprocessing.face_boxes import (
    Boxes,
    Face,
    non_maximum_suppression,
    shifted,
    squared,
)
from avt_memocmt.preprocessing.onnx_session import small_session
from avt_memocmt.pretrained import packaged_path

SEARCH_SIDE = 640
"""Pictures are scaled down so that their long side is at most this, pixels, unless more is asked
for: a search takes time in proportion to the pixels."""

_YUNET_STRIDES = (8, 16, 32)
"""Pixels between the cells of YuNet's three levels."""
_YUNET_OUTPUTS = [
    f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in (8, 16, 32)
]
# The file fixes height and width at 640, which the network itself does not need, and ONNX Runtime
# offers no way round it: padding every picture to that size would take ten times as long (20 ms
# against 2 ms of one core for the 224 x 224 pixels around a followed face). In the protobuf a
# dimension is either that number or, in as many bytes, a name.
_YUNET_SIDES = b"\x0a\x03\x08\x80\x05\x0a\x03\x08\x80\x05"
_YUNET_ANY_SIDES = b"\x0a\x03\x12\x01h\x0a\x03\x12\x01w"
_YUNET_SCORE = 0.6
"""Faces below this confidence are not reported."""
_YUNET_OVERLAP = 0.3
"""Intersection over union above which two boxes are one face."""

_CELL = 12
_STRIDE = 2
"""Pixels that one output cell of the P-Net sees, and pixels between cells."""
_MIN_FACE = 20
"""Smallest face that MTCNN searches, pixels of the picture as it is searched."""
_PYRAMID_FACTOR = 0.709
"""Ratio of successive sizes of the image pyramid."""
_THRESHOLDS = (0.6, 0.7, 0.7)
"""Score that a box needs to pass the P-Net, the R-Net and the O-Net."""


class FaceDetector(Protocol):
    """What every detector offers. A detector is not to be shared between threads."""

    def detect(self, image: NDArray[np.uint8], max_side: int = SEARCH_SIDE) -> list[Face]:
        """Faces of an RGB picture, best score first.

        Args:
            image: [height, width, 3].
            max_side: it is searched with its long side scaled down to this, pixels. The smallest
                faces that are found have 12 to 20 pixels then.
        """
        ...


class YuNetDetector:
    """YuNet (Wu et al. 2023) in ONNX Runtime, which needs less than half of OpenCV's time for it.

    Raises:
        AvtError: the packaged weights are missing or altered.
    """

    def __init__(self) -> None:
        model = packaged_path("yunet").read_bytes()
        self._network = small_session(model.replace(_YUNET_SIDES, _YUNET_ANY_SIDES, 1))

    def detect(self, image: NDArray[np.uint8], max_side: int = SEARCH_SIDE) -> list[Face]:
        """See `FaceDetector.detect`."""
        faces = self._detect_within(image, max_side)
        if not faces and max(image.shape[:2]) > SEARCH_SIDE // 2 and max_side <= SEARCH_SIDE:
            # YuNet misses faces of more than about 300 pixels: FER+ pictures enlarged to 640 pixels
            # give 70 % of the faces that they give at 320.
            return self._detect_within(image, SEARCH_SIDE // 2)
        return faces

    def _detect_within(self, image: NDArray[np.uint8], max_side: int) -> list[Face]:
        picture, scale = _bounded(image, max_side)
        height, width = picture.shape[:2]
        below, beside = (_whole_cells(side) - side for side in (height, width))
        padded = cv2.copyMakeBorder(picture, 0, below, 0, beside, cv2.BORDER_CONSTANT)
        # BGR, as the network was trained.
        blob = cv2.dnn.blobFromImage(padded, swapRB=True)
        outputs = [found[0] for found in self._network.run(_YUNET_OUTPUTS, {"input": blob})]
        levels = [
            _yunet_rows(outputs[level::3], stride, padded.shape[1])
            for level, stride in enumerate(_YUNET_STRIDES)
        ]
        faces = np.concatenate(levels)
        faces = faces[np.isfinite(faces).all(axis=1)]
        keep = non_maximum_suppression(faces[:, :5], _YUNET_OVERLAP)
        found = [_face(row[:5], row[5:].reshape(5, 2)) for row in faces[keep]]
        return [face.scaled(1 / scale) for face in found]


class MtcnnDetector:
    """MTCNN (Zhang et al. 2016): three networks, each sifting and refining the boxes of the last.

    The networks are fed [n, width, height, 3] (x before y, as they were trained), RGB scaled to
    [-1, 1]; they answer box offsets as fractions of the box's side and the chance of a face.

    Raises:
        AvtError: the packaged weights are missing or altered.
    """

    def __init__(self) -> None:
        self._proposal, self._refinement, self._output = (
            small_session(packaged_path(f"mtcnn-{name}").read_bytes())
            for name in ("pnet", "rnet", "onet")
        )

    def detect(self, image: NDArray[np.uint8], max_side: int = SEARCH_SIDE) -> list[Face]:
        """See `FaceDetector.detect`."""
        picture, scale = _bounded(image, max_side)
        boxes = self._propose(picture)
        boxes = self._refine(picture, boxes)
        boxes, landmarks = self._describe(picture, boxes)
        faces = [_face(box, points) for box, points in zip(boxes, landmarks, strict=True)]
        return [face.scaled(1 / scale) for face in sorted(faces, key=lambda face: -face.score)]

    def _propose(self, picture: NDArray[np.uint8]) -> Boxes:
        """P-Net on every size of the pyramid -> [n, 5] square boxes and scores."""
        found = [np.zeros((0, 5), np.float32)]
        scale = _CELL / _MIN_FACE
        while min(picture.shape[:2]) * scale >= _CELL:
            width, height = (math.ceil(side * scale) for side in picture.shape[1::-1])
            level = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
            offsets, chances = self._proposal.run(None, {"input_1": _network_input([level])})
            scores = chances[0, :, :, 1]
            kept = scores >= _THRESHOLDS[0]
            corners = _STRIDE * np.argwhere(kept)
            sides = np.hstack([corners, corners + _CELL]) / scale
            boxes = np.column_stack([sides, scores[kept]]).astype(np.float32)
            keep = non_maximum_suppression(boxes, 0.5)
            found.append(shifted(boxes, offsets[0][kept])[keep])
            scale *= _PYRAMID_FACTOR
        boxes = np.concatenate(found)
        return squared(boxes[non_maximum_suppression(boxes, 0.7)])

    def _refine(self, picture: NDArray[np.uint8], boxes: Boxes) -> Boxes:
        """R-Net on the proposals -> the boxes that pass, moved and squared, [m, 5]."""
        if not len(boxes):
            return boxes
        offsets, chances = self._refinement.run(None, {"input_2": _crops(picture, boxes, 24)})
        kept = chances[:, 1] >= _THRESHOLDS[1]
        boxes = np.column_stack([boxes[kept, :4], chances[kept, 1]])
        keep = non_maximum_suppression(boxes, 0.7)
        return squared(shifted(boxes, offsets[kept])[keep])

    def _describe(
        self, picture: NDArray[np.uint8], boxes: Boxes
    ) -> tuple[Boxes, NDArray[np.float32]]:
        """O-Net on the refined boxes -> final boxes [m, 5] and landmarks [m, 5, 2]."""
        if not len(boxes):
            return boxes, np.zeros((0, 5, 2), np.float32)
        inputs = _crops(picture, boxes, 48)
        offsets, points, chances = self._output.run(None, {"input_3": inputs})
        kept = chances[:, 1] >= _THRESHOLDS[2]
        boxes = np.column_stack([boxes[kept, :4], chances[kept, 1]])
        fractions = points[kept].reshape(-1, 2, 5).transpose(0, 2, 1)
        sides = (boxes[:, 2:4] - boxes[:, :2])[:, None]
        landmarks = boxes[:, None, :2] + fractions * sides
        boxes = shifted(boxes, offsets[kept])
        usable = np.isfinite(boxes).all(axis=1) & np.isfinite(landmarks).all(axis=(1, 2))
        boxes, landmarks = boxes[usable], landmarks[usable]
        keep = non_maximum_suppression(boxes, 0.7, of_smaller=True)
        return boxes[keep], landmarks[keep].astype(np.float32)


def _yunet_rows(
    answers: Sequence[NDArray[np.float32]], stride: int, width: int
) -> NDArray[np.float32]:
    """One level of YuNet's answers, a row per face: x0, y0, x1, y1, score, five landmarks.

    Args:
        answers: how much a cell looks like a face [cells, 1]; how well its box fits [cells, 1];
            the box's centre from the cell's corner, and the logarithms of its width and height, in
            cells [cells, 4]; landmarks from the cell's corner, in cells [cells, 10].
        stride: side of a cell, pixels.
        width: of the picture, pixels.
    """
    classes, objects, boxes, points = answers
    scores = np.sqrt(classes.clip(0, 1) * objects.clip(0, 1))
    cell = np.flatnonzero(scores[:, 0] >= _YUNET_SCORE)
    corners = np.column_stack([cell % (width // stride), cell // (width // stride)])
    centres = corners + boxes[cell, :2]
    half = np.exp(boxes[cell, 2:]) / 2
    landmarks = points[cell] + np.tile(corners, 5)
    sides = stride * np.hstack([centres - half, centres + half, landmarks])
    return np.hstack([sides[:, :4], scores[cell], sides[:, 4:]]).astype(np.float32)


def _face(box: NDArray[np.floating[Any]], landmarks: NDArray[np.float32]) -> Face:
    """A face from a row of `Boxes` and its landmarks [5, 2]."""
    x0, y0, x1, y1, score = box.tolist()
    return Face((x0, y0, x1, y1), landmarks, score)


def _whole_cells(side: int) -> int:
    """The side, pixels, rounded up to whole cells of YuNet's coarsest level."""
    return -(-side // _YUNET_STRIDES[-1]) * _YUNET_STRIDES[-1]


def make_detector(name: str) -> FaceDetector:
    """The detector that config.yaml names.

    Raises:
        AvtError: the name is unknown, or the packaged weights are missing or altered.
    """
    if name == "mtcnn":
        return MtcnnDetector()
    if name == "yunet":
        return YuNetDetector()
    raise AvtError(f"unknown face detector {name!r}; use mtcnn or yunet.")


def _bounded(image: NDArray[np.uint8], max_side: int) -> tuple[NDArray[np.uint8], float]:
    """The picture with its long side at most `max_side`, and the factor that was applied."""
    scale = min(1.0, max_side / max(image.shape[:2]))
    if scale == 1.0:
        return image, scale
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    picture = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(picture, dtype=np.uint8), scale


def _network_input(pictures: list[Any]) -> NDArray[np.float32]:
    """Pictures uint8 [h, w, 3] of one size -> float32 [n, w, h, 3] in [-1, 1]."""
    pixels = np.stack(pictures).transpose(0, 2, 1, 3)
    return ((pixels - 127.5) / 128).astype(np.float32)


def _crops(picture: NDArray[np.uint8], boxes: Boxes, size: int) -> NDArray[np.float32]:
    """The network input for square boxes; what lies beyond the picture is black."""
    height, width = picture.shape[:2]
    crops = []
    for x0, y0, x1, _ in np.rint(boxes[:, :4]).astype(int):
        side = max(x1 - x0, 1)
        square = np.zeros((side, side, 3), np.uint8)
        left, top = max(x0, 0), max(y0, 0)
        right, bottom = min(x0 + side, width), min(y0 + side, height)
        if right > left and bottom > top:
            inside = picture[top:bottom, left:right]
            square[top - y0 : bottom - y0, left - x0 : right - x0] = inside
        crops.append(cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA))
    return _network_input(crops)
