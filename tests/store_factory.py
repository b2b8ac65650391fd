"""Feature stores with something to learn in them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from avt_memocmt.config import Config, TokenShape
from avt_memocmt.data.feature_store import FeatureRow, FeatureStore, StoreManifest
from avt_memocmt.data.index import UtteranceKey
from avt_memocmt.features.base import Tokens

NAMES = ("pitch", "level", "rate")


SENTIMENT_OF_EMOTION = (1, 2, 0, 0, 2, 0, 0)
"""Per emotion the sentiment that its utterances have here, as an index into `SENTIMENTS`."""


def make_store(folder: Path, dialogues: int = 12, *, sentiments: bool = False) -> FeatureStore:
    """Write a store whose emotions show in the text tokens and, weakly, in the value `pitch`."""
    manifest = StoreManifest(
        package_version="0",
        modalities={
            "audio": TokenShape(dim=1, names=NAMES),
            "visual": TokenShape(dim=4),
            "text": TokenShape(dim=8),
        },
        extractor={"audio": {}, "visual": {}, "text": {}},
    )
    store = FeatureStore.create(folder, manifest)
    generator = np.random.default_rng(0)
    rows = [
        make_row(split, number, turn, generator)
        for split, count in (("train", dialogues), ("dev", 8))
        for number in range(count)
        for turn in range(2 + number % 3)
    ]
    if sentiments:
        rows = [replace(row, sentiment=SENTIMENT_OF_EMOTION[row.emotion]) for row in rows]
    store.write_shard(0, rows)
    return store


def make_row(split: str, number: int, turn: int, generator: np.random.Generator) -> FeatureRow:
    emotion = int(generator.integers(7))
    values = generator.normal(size=(3, 1)) + np.array([[emotion], [50.0], [0.0]])
    values[2, 0] = np.nan if generator.random() < 0.3 else values[2, 0]
    text = generator.normal(size=(3, 8)).astype(np.float32) * 0.3
    text[:, emotion] += 2.0
    spans = np.tile(np.array([[0.0, 1.0]], np.float32), (3, 1))
    tokens = {"audio": Tokens(values.astype(np.float32), spans), "text": Tokens(text, spans)}
    if generator.random() < 0.7:
        faces = generator.normal(size=(2, 4)).astype(np.float32)
        tokens["visual"] = Tokens(faces, spans[:2])
    words = ["oh my god", "no", "yes it is good", "what", "so bad", "not you", "go"][emotion]
    return FeatureRow(
        UtteranceKey(split, number, turn), "AB"[turn % 2], words, emotion, 1.0, tokens
    )


def make_config(**training: object) -> Config:
    return Config.model_validate(
        {
            "preset": "embedded",
            "audio": {"encoder": {"name": "whisper-tiny.en"}},
            "visual": {"encoder": {"name": "face-cnn"}},
            "text": {"encoder": {"name": "minilm-l6"}},
            "model": {
                "dim": 16,
                "heads": 2,
                "feed_forward": 16,
                "cross_modal_layers": 1,
                "temporal_layers": 1,
            },
            "training": {"epochs": 4, "token_budget": 200, "learning_rate": 0.01, **training},
        }
    )
