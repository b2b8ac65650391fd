"""Encodes each line of a stream once, however often it is asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.features.base import Tokens
from avt_memocmt.features.extract_text_features import (
    ContextTurn,
    TextEncoder,
    TextInput,
    piece_spans,
)


class RememberedText(TextEncoder):
    """An encoder for streams: a caption is encoded while it is spoken, not again at its end.

    Args:
        encoder: encodes what is new.
        most: lines that are remembered; beyond, the oldest are forgotten.
    """

    def __init__(self, encoder: TextEncoder, most: int) -> None:
        super().__init__(encoder.model, encoder.tokenizer, encoder.config, encoder.identity)
        self._encoder = encoder
        self._most = most
        self._known: OrderedDict[
            tuple[str, tuple[ContextTurn, ...]], tuple[NDArray[np.float32], list[int]]
        ] = OrderedDict()

    def encode(self, inputs: Sequence[TextInput], batch_size: int = 32) -> list[Tokens]:
        """See `TextEncoder.encode`."""
        new = [item for item in inputs if (item.text, item.context) not in self._known]
        encoded = self._encoder.encode(new, batch_size) if new else []
        for item, tokens in zip(new, encoded, strict=True):
            words = self.prepare([item]).words[0]
            self._known[item.text, item.context] = tokens.values, words
        found = []
        for item in inputs:
            values, words = self._known[item.text, item.context]
            found.append(Tokens(values, piece_spans(item, words)))
        while len(self._known) > self._most:
            self._known.popitem(last=False)
        return found
