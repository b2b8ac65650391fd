"""Encoders that remember the faces and lines they encoded lately, for streams."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from avt_memocmt.features.text_encoder import EncodedPieces, TextEncoder, TextInput
from avt_memocmt.features.visual_encoder import VisualEncoder
from avt_memocmt.preprocessing.face_tracker import FaceObservation

Item = TypeVar("Item")
Value = TypeVar("Value")


class CachedVisualEncoder(VisualEncoder):
    """Encodes each face once, though several decisions of a stream in a row see it.

    Args:
        encoder: encodes new faces.
        most: faces that are remembered; beyond, the oldest are forgotten.
    """

    def __init__(self, encoder: VisualEncoder, most: int) -> None:
        super().__init__(encoder.mean.flatten().tolist(), encoder.std.flatten().tolist())
        self.encoder = encoder
        self.dim, self.side, self.identity = encoder.dim, encoder.side, encoder.identity
        self._cached = _Cache(encoder.vectors, lambda face: id(face.crop), most)

    def feature_map(self, pixels: Tensor) -> Tensor:
        """See `VisualEncoder.feature_map`."""
        return self.encoder.feature_map(pixels)

    def vectors(self, faces: Sequence[FaceObservation]) -> NDArray[np.float32]:
        """See `VisualEncoder.vectors`."""
        return np.array(self._cached(faces), np.float32).reshape(-1, self.dim)


class CachedTextEncoder(TextEncoder):
    """Encodes a caption once, while it is spoken, and not again at its end.

    Args:
        encoder: encodes new lines.
        most: lines that are remembered; beyond, the oldest are forgotten.
    """

    def __init__(self, encoder: TextEncoder, most: int) -> None:
        super().__init__(encoder.model, encoder.tokenizer, encoder.config, encoder.identity)
        self._cached = _Cache(encoder.encode_pieces, lambda item: (item.text, item.context), most)

    def encode_pieces(self, inputs: Sequence[TextInput]) -> list[EncodedPieces]:
        """See `TextEncoder.encode_pieces`."""
        return self._cached(inputs)


class _Cache(Generic[Item, Value]):
    """Computes the value of each item once, as long as it is among the latest."""

    def __init__(
        self,
        compute: Callable[[Sequence[Item]], Iterable[Value]],
        key: Callable[[Item], Hashable],
        most: int,
    ) -> None:
        self._compute, self._key, self._most = compute, key, most
        # With the item itself, so that no other object can get its `id`.
        self._known: dict[Hashable, tuple[Item, Value]] = {}

    def __call__(self, items: Sequence[Item]) -> list[Value]:
        new = [item for item in items if self._key(item) not in self._known]
        values = self._compute(new) if new else ()
        for item, value in zip(new, values, strict=True):
            self._known[self._key(item)] = item, value
        found = [self._known[self._key(item)][1] for item in items]
        for key in list(self._known)[: -self._most]:
            del self._known[key]
        return found
