"""A small table: a corpus of words and named values, and a recipe with every kind of row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from tiny_encoders import save_tiny_bert

from avt_memocmt.config import TokenShape
from avt_memocmt.data.feature_store import FeatureRow, FeatureStore, StoreManifest
from avt_memocmt.data.index import UtteranceRecord
from avt_memocmt.features.base import Tokens
from avt_memocmt.reproduction.plan import load_plan
from avt_memocmt.reproduction.run import Reproduction

LINES = ("oh my god", "no", "yes it is good", "what", "so bad", "not you", "go")


_ROWS: list[dict[str, object]] = [
    {"name": "Late fusion", "seeds": 2, "set": ["model.kind=avt-late-fusion"]},
    {"name": "Proposed", "seeds": 2},
    {"name": "Proposed, both sides", "seeds": 1, "set": ["model.causal=false"]},
    {"name": "audio shuffled", "seeds": 1, "of": "Proposed", "shuffle": "audio"},
    {"name": "visual noise", "seeds": 1, "of": "Proposed", "noise": "visual"},
]
ROWS = tuple(str(row["name"]) for row in _ROWS)


def make_records() -> list[UtteranceRecord]:
    generator = np.random.default_rng(0)
    return [
        UtteranceRecord(split, number, turn, "AB"[turn % 2], LINES[emotion], emotion)
        for split, count in (("train", 10), ("dev", 4))
        for number in range(count)
        for turn in range(3)
        for emotion in [int(generator.integers(7))]
    ]


def make_store(folder: Path, records: list[UtteranceRecord]) -> FeatureStore:
    shapes = {
        "audio": TokenShape(dim=1, names=("pitch", "level")),
        "visual": TokenShape(dim=1, names=("AU01", "AU12", "AU25")),
    }
    manifest = StoreManifest(
        package_version="0", modalities=shapes, extractor={"audio": {}, "visual": {}}
    )
    store = FeatureStore.create(folder, manifest)
    generator = np.random.default_rng(1)

    def tokens(count: int) -> Tokens:
        values = generator.normal(size=(count, 1)).astype(np.float32)
        return Tokens(values, np.tile(np.array([[0.0, 1.0]], np.float32), (count, 1)))

    rows = [
        FeatureRow(
            r.key, r.speaker, r.text, r.emotion, 1.0, {"audio": tokens(2), "visual": tokens(3)}
        )
        for r in records
    ]
    store.write_shard(0, rows)
    return store


def make_recipe(folder: Path, rows: Sequence[str] = ROWS) -> Path:
    """A recipe with some of the rows, in one seed where they are not all."""
    recipe: dict[str, Any] = {
        "config": {
            "preset": "paper",
            "audio": {"encoder": {"name": "whisper-tiny.en"}},
            "visual": {"encoder": {"name": "face-cnn"}},
            "text": {
                "encoder": {"name": str(save_tiny_bert(folder / "bert"))},
                "context_turns": 2,
                "context_tokens": 16,
            },
            "model": {"dim": 16, "heads": 2, "feed_forward": 16, "cross_modal_layers": 1},
            "training": {"epochs": 2, "token_budget": 400, "learning_rate": 0.01},
        },
        "text": {
            "name": "Text-only",
            "seeds": 2,
            "set": [
                "model.kind=text-only",
                "model.modalities=[text]",
                "training.text_encoder=fine-tuned",
            ],
        },
        "rows": [row for row in _ROWS if row["name"] in rows],
    }
    if rows != ROWS:
        for row in (recipe["text"], *recipe["rows"]):
            row["seeds"] = 1
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def small_reproduction(folder: Path, name: str, rows: Sequence[str] = ROWS) -> Reproduction:
    """Ten dialogues to train on and four to measure, in `folder`; what it makes in `name` there."""
    records = make_records()
    store = make_store(folder / "store", records)
    plan = load_plan(make_recipe(folder, rows))
    return Reproduction(plan, records, [store], folder / name, folder / name / "experiments")
