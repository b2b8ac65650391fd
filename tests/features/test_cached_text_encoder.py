"""Lines of a stream are encoded once, and the tokens are those of the encoder itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_encoders import save_tiny_bert
from torch import Tensor

from avt_memocmt.config import EncoderConfig, TextConfig
from avt_memocmt.features.encoder_cache import CachedTextEncoder
from avt_memocmt.features.extract_text_features import make_text_encoder
from avt_memocmt.features.text_encoder import ContextTurn, TextBatch, TextEncoder, TextInput


class Counting(TextEncoder):
    """Counts the lines that are really encoded."""

    encoded = 0

    def forward(self, batch: TextBatch, embeddings: Tensor | None = None) -> tuple[Tensor, Tensor]:
        self.encoded += len(batch.counts)
        return super().forward(batch, embeddings)


def counting(encoder: TextEncoder) -> Counting:
    return Counting(encoder.model, encoder.tokenizer, encoder.config, encoder.identity)


@pytest.fixture
def encoder(tmp_path: Path) -> TextEncoder:
    folder = save_tiny_bert(tmp_path / "bert")
    return make_text_encoder(TextConfig(encoder=EncoderConfig(name=str(folder)), context_turns=2))


def test_only_new_lines_are_encoded_and_tokens_are_the_same(encoder: TextEncoder) -> None:
    inner = counting(encoder)
    remembered = CachedTextEncoder(inner, most=8)
    line = TextInput("why are you here", (ContextTurn("hello"),), 1.0)
    other = TextInput("oh", (), 0.5)
    answers = [[line], [replace(line, duration=2.0), other], [other, replace(line, context=())]]
    for asked, encoded in zip(answers, (1, 2, 3), strict=True):
        for found, expected in zip(remembered.encode(asked), encoder.encode(asked), strict=True):
            np.testing.assert_allclose(found.values, expected.values, atol=1e-6)
            np.testing.assert_array_equal(found.spans, expected.spans)
        assert inner.encoded == encoded


def test_old_lines_are_forgotten(encoder: TextEncoder) -> None:
    inner = counting(encoder)
    remembered = CachedTextEncoder(inner, most=1)
    for text in ("oh", "why", "why", "oh"):
        remembered.encode([TextInput(text)])
    assert inner.encoded == 3
