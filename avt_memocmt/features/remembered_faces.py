"""Encodes each face once, however often it is asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from avt_memocmt.features.base import Tokens
from avt_memocmt.features.extract_visual_features import VisualEncoder, face_spans
from avt_memocmt.preprocessing.video_preprocess_mtcnn import FaceObservation


class RememberedFaces(VisualEncoder):
    """An encoder for streams, where each decision sees the faces of the one before and a few more.

    Args:
        encoder: encodes what is new.
        most: faces that are remembered; beyond, the oldest are forgotten.
    """

    def __init__(self, encoder: VisualEncoder, most: int) -> None:
        super().__init__((0.0,) * 3, (1.0,) * 3)
        self.encoder = encoder
        self.dim, self.side, self.identity = encoder.dim, encoder.side, encoder.identity
        self._most = most
        # By identity of the face, which is kept so that no other can take its number.
        self._known: dict[int, tuple[FaceObservation, NDArray[np.float32]]] = {}

    def feature_map(self, pixels: Tensor) -> Tensor:
        """See `VisualEncoder.feature_map`."""
        return self.encoder.feature_map(pixels)

    def encode(
        self,
        utterances: Sequence[Sequence[FaceObservation]],
        utterance_starts: Sequence[float],
        seconds_per_frame: float,
    ) -> list[Tokens]:
        """See `VisualEncoder.encode`."""
        shown = [face for faces in utterances for face in faces]
        new = [face for face in shown if id(face) not in self._known]
        (found,) = self.encoder.encode([new], [0.0], seconds_per_frame)
        self._known |= {id(face): (face, row) for face, row in zip(new, found.values, strict=True)}
        tokens = []
        for faces, start in zip(utterances, utterance_starts, strict=True):
            rows = [self._known[id(face)][1] for face in faces]
            values = np.stack(rows) if rows else np.zeros((0, self.dim), np.float32)
            tokens.append(Tokens(values, face_spans(faces, start, seconds_per_frame)))
        for number in list(self._known)[: -self._most]:
            del self._known[number]
        return tokens
