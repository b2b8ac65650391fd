"""The table of a recipe: every row, resumable, the same bytes each time."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import yaml
from tiny_encoders import save_tiny_bert

from avt_memocmt.config import TokenShape
from avt_memocmt.data.feature_store import FeatureRow, FeatureStore, StoreManifest
from avt_memocmt.data.index import UtteranceRecord
from avt_memocmt.errors import AvtError
from avt_memocmt.features.base import Tokens
from avt_memocmt.reproduction.plan import MELD_RECIPE, load_plan
from avt_memocmt.reproduction.run import Reproduction

LINES = ("oh my god", "no", "yes it is good", "what", "so bad", "not you", "go")


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


def make_recipe(folder: Path) -> Path:
    recipe = {
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
        "rows": [
            {"name": "Late fusion", "seeds": 2, "set": ["model.kind=avt-late-fusion"]},
            {"name": "Proposed", "seeds": 2},
            {"name": "Proposed, both sides", "seeds": 1, "set": ["model.causal=false"]},
            {"name": "audio shuffled", "seeds": 1, "of": "Proposed", "shuffle": "audio"},
            {"name": "visual noise", "seeds": 1, "of": "Proposed", "noise": "visual"},
        ],
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def reproduction(folder: Path, name: str) -> Reproduction:
    records = make_records()
    store = make_store(folder / "store", records)
    plan = load_plan(make_recipe(folder))
    return Reproduction(plan, records, [store], folder / name, folder / name / "experiments")


def test_every_row_is_measured_and_a_stopped_table_ends_the_same(tmp_path: Path) -> None:
    whole = reproduction(tmp_path, "whole")
    whole.run()
    experiments = tmp_path / "whole" / "experiments"
    with (experiments / "results.csv").open(newline="") as file:
        rows = [(row["model"], row["seed"], row["context"]) for row in csv.DictReader(file)]
    past = "past-only"
    assert sorted(rows) == sorted(
        [
            ("Majority", "0", past),
            *(("Text-only", seed, past) for seed in "01"),
            *(("Late fusion", seed, past) for seed in "01"),
            *(("Proposed", seed, past) for seed in "01"),
            ("Proposed, both sides", "0", "both-sides"),
            ("audio shuffled", "0", past),
            ("visual noise", "0", past),
        ]
    )
    table = (experiments / "results.md").read_text()
    proposed = next(line for line in table.splitlines() if line.startswith("| Proposed |"))
    assert "±" in proposed
    assert (experiments / "confusion_matrix.png").read_bytes()[:4] == b"\x89PNG"

    class StoppedError(Exception):
        pass

    def stop_at(name: str) -> None:
        if name == "proposed-seed0":
            raise StoppedError

    with pytest.raises(StoppedError):
        reproduction(tmp_path, "stopped").run(stop_at)
    reproduction(tmp_path, "stopped").run()
    for name in ("results.csv", "results.md"):
        again = tmp_path / "stopped" / "experiments" / name
        assert again.read_bytes() == (experiments / name).read_bytes()


def test_the_shipped_recipe_has_the_rows_of_the_paper() -> None:
    plan = load_plan(MELD_RECIPE)
    seeds = {row.name: row.seeds for row in (plan.text, *plan.rows)}
    for name in ("Text-only", "Audio-Text MemoCMT", "AVT late fusion", "AVT-MemoCMT"):
        assert seeds[name] == 5
    assert all(seeds[row.name] >= 3 for row in plan.rows)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"name": "x", "seeds": 1, "set": ["model.heads=3"]}, "heads"),
        ({"name": "x", "seeds": 1, "set": ["model.haeds=2"]}, "haeds"),
        ({"name": "x", "of": "nobody", "shuffle": "audio"}, "nobody"),
        ({"name": "x", "shuffle": "audio"}, "belong together"),
        ({"name": "Late fusion"}, "same name"),
        ({"name": "x", "seeds": 9}, "more seeds"),
    ],
)
def test_a_wrong_recipe_is_one_sentence(
    tmp_path: Path, row: dict[str, object], message: str
) -> None:
    path = make_recipe(tmp_path)
    recipe = yaml.safe_load(path.read_text())
    recipe["rows"].append(row)
    path.write_text(yaml.safe_dump(recipe))
    with pytest.raises(AvtError, match=message):
        load_plan(path)
