"""Small fusion models and dialogues with random features."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from avt_memocmt.config import MODALITIES, ModelConfig
from avt_memocmt.data.dialogue_batch import ModalityBatch, TurnFeatures
from avt_memocmt.data.speaker_baselines import Baseline
from avt_memocmt.features.base import Tokens
from avt_memocmt.models.avt_memocmt import AvtMemoCmt, TokenShape

SHAPES = {"audio": TokenShape(6, 3), "visual": TokenShape(10), "text": TokenShape(12)}


DIMS = {name: shape.dim * shape.layers for name, shape in SHAPES.items()}


SMALL = ModelConfig(
    dim=32, heads=4, feed_forward=48, cross_modal_layers=2, temporal_layers=2, temporal_window=3
)


def make_model(**settings: object) -> AvtMemoCmt:
    """A small fusion model, far from its first weights."""
    torch.manual_seed(0)
    net = AvtMemoCmt(SHAPES, SMALL.model_copy(update=settings))
    for parameter in net.parameters():  # far from linear, and nothing left at zero
        nn.init.normal_(parameter, std=0.3)
    for baseline in net.baselines.values():
        nn.init.normal_(baseline.mean)
    return net.eval()


def make_tokens(name: str, n: int, seed: int) -> Tokens:
    generator = np.random.default_rng(seed)
    edges = np.linspace(0, n * 0.1, n + 1, dtype=np.float32)
    spans = np.stack([edges[:-1], edges[1:]], axis=1)
    return Tokens(generator.normal(size=(n, DIMS[name])).astype(np.float32), spans)


def make_baseline(name: str, count: int, seed: int) -> Baseline:
    generator = np.random.default_rng(seed)
    return Baseline(generator.normal(size=2 * DIMS[name]).astype(np.float32), count)


def make_dialogue(
    turns: int, seed: int = 0, present: tuple[str, ...] = MODALITIES
) -> list[TurnFeatures]:
    """From the second turn on, each speaker's baselines are known."""
    return [
        TurnFeatures(
            {
                m: make_tokens(m, 2 + (seed + t + i) % 4, seed * 100 + t * 10 + i)
                for i, m in enumerate(present)
            },
            speaker_change=t % 3,
            baselines={m: make_baseline(m, t, seed + t) for m in present if t},
        )
        for t in range(turns)
    ]


def spoil_masked(part: ModalityBatch, filler: float) -> ModalityBatch:
    hole = ~part.mask[..., None]
    return replace(
        part,
        values=part.values.masked_fill(hole, filler),
        spans=part.spans.masked_fill(hole, filler),
    )
