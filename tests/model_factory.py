"""Small fusion models and dialogues with random features."""

from __future__ import annotations

import numpy as np

from avt_memocmt.config import MODALITIES, ModelConfig
from avt_memocmt.data.dialogue_batch import ModalityBatch, TurnFeatures
from avt_memocmt.features.base import Tokens
from avt_memocmt.models.avt_memocmt import TokenShape

SHAPES = {"audio": TokenShape(6, 3), "visual": TokenShape(10), "text": TokenShape(12)}


DIMS = {name: shape.dim * shape.layers for name, shape in SHAPES.items()}


SMALL = ModelConfig(
    dim=32, heads=4, feed_forward=48, cross_modal_layers=2, temporal_layers=2, temporal_window=3
)


def make_tokens(name: str, n: int, seed: int) -> Tokens:
    generator = np.random.default_rng(seed)
    edges = np.linspace(0, n * 0.1, n + 1, dtype=np.float32)
    spans = np.stack([edges[:-1], edges[1:]], axis=1)
    return Tokens(generator.normal(size=(n, DIMS[name])).astype(np.float32), spans)


def make_dialogue(
    turns: int, seed: int = 0, present: tuple[str, ...] = MODALITIES
) -> list[TurnFeatures]:
    return [
        TurnFeatures(
            {
                m: make_tokens(m, 2 + (seed + t + i) % 4, seed * 100 + t * 10 + i)
                for i, m in enumerate(present)
            },
            speaker_change=t % 3,
        )
        for t in range(turns)
    ]


def spoil_masked(part: ModalityBatch, filler: float) -> ModalityBatch:
    hole = ~part.mask[..., None]
    return ModalityBatch(
        part.values.masked_fill(hole, filler), part.spans.masked_fill(hole, filler), part.mask
    )
