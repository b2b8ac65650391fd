"""Encoders that remember the faces and lines they encoded lately, for streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from avt_memocmt.features.base import Tokens
from avt_memocmt.features.text_encoder import ContextTurn, TextEncoder, TextInput, piece_spans
from avt_memocmt.features.visual_encoder import VisualEncoder, face_spans
from avt_memocmt.preprocessing.face_tracker import FaceObservation

_Line = tuple[str, tuple[ContextTurn, ...]]


class CachedVisualEncoder(VisualEncoder):
    """Encodes each face once, though several decisions of a stream in a row see it.

    Args:
        encoder: encodes new faces.
        most: faces that are remembered; beyond, the oldest are forgotten.
    """

    def __init__(self, encoder: VisualEncoder, most: int) -> None:
        super().__init__((0.0,) * 3, (1.0,) * 3)
        self.encoder = encoder
        self.dim, self.side, self.identity = encoder.dim, encoder.side, encoder.identity
        self._most = most
        # By `id` of the face; the face is kept too, so that no other object can get the same id.
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
        _keep_latest(self._known, self._most)
        return tokens


class CachedTextEncoder(TextEncoder):
    """Encodes a caption once, while it is spoken, and not again at its end.

    Args:
        encoder: encodes new lines.
        most: lines that are remembered; beyond, the oldest are forgotten.
    """

    def __init__(self, encoder: TextEncoder, most: int) -> None:
        super().__init__(encoder.model, encoder.tokenizer, encoder.config, encoder.identity)
        self._encoder = encoder
        self._most = most
        self._known: dict[_Line, tuple[NDArray[np.float32], list[int]]] = {}

    def encode(self, inputs: Sequence[TextInput], batch_size: int = 32) -> list[Tokens]:
        """See `TextEncoder.encode`."""
        new = [item for item in inputs if (item.text, item.context) not in self._known]
        encoded = self._encoder.encode(new, batch_size) if new else []
        for item, tokens in zip(new, encoded, strict=True):
            self._known[item.text, item.context] = tokens.values, self.prepare([item]).words[0]
        found = []
        for item in inputs:
            values, words = self._known[item.text, item.context]
            found.append(Tokens(values, piece_spans(item, words)))
        _keep_latest(self._known, self._most)
        return found


def _keep_latest(known: dict[Any, Any], most: int) -> None:
    for key in list(known)[:-most]:
        del known[key]
