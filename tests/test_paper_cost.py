"""The stand-ins for MELD and the paper's encoders, and the arithmetic of a whole run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from paper_corpus import DEV, TRAIN, clip_shapes, long_dialogues, train_lengths, write_corpus
from paper_measure import WAYS, ExtractionCost, TrainingCost, measure_training
from tiny_encoders import WORDS, save_tiny_encoders

from avt_memocmt.bench.clips import read_clips, write_film
from avt_memocmt.config import TokenShape
from avt_memocmt.data.feature_store import FeatureRow, FeatureStore, StoreManifest
from avt_memocmt.data.index import UtteranceKey
from avt_memocmt.data.meld.index import index_meld
from avt_memocmt.features.base import Tokens

SHAPES = {"audio": TokenShape(dim=16), "visual": TokenShape(dim=12), "text": TokenShape(dim=16)}


def make_row(number: int, generator: np.random.Generator) -> FeatureRow:
    spans = np.array([[0, 1], [1, 2]], np.float32)
    tokens = {
        name: Tokens(generator.normal(size=(2, shape.dim)).astype(np.float16), spans)
        for name, shape in SHAPES.items()
    }
    return FeatureRow(UtteranceKey("train", 0, number), "A", WORDS, 0, 2.0, tokens)


def test_the_clips_are_those_of_the_tables(tmp_path: Path) -> None:
    write_corpus(write_film(tmp_path / "film.mp4"), 3, tmp_path / "MELD")
    index = index_meld(tmp_path / "MELD")
    assert {fault.kind.value for fault in index.faults} <= {"single_turn"}
    assert [str(r.key) for r in index.records] == [
        "train dia0_utt0",
        "train dia0_utt1",
        "dev dia0_utt0",
    ]
    for record, (seconds, words) in zip(index.records, clip_shapes(3), strict=True):
        assert record.path is not None
        assert read_clips([Path(record.path)])[0].seconds == pytest.approx(seconds, abs=0.1)
        assert len(record.text.split()) == words


def test_clips_and_dialogues_are_distributed_as_in_meld() -> None:
    assert (len(train_lengths()), sum(train_lengths())) == (1038, TRAIN)
    seconds, words = np.mean(clip_shapes(200), axis=0)
    assert seconds == pytest.approx(3.1, abs=0.2)
    assert words == pytest.approx(11.6, abs=0.5)


def test_dialogues_repeat_the_tokens_without_copies() -> None:
    rows = [make_row(number, np.random.default_rng(number)) for number in range(2)]
    (one, two) = long_dialogues(rows, [3, 5], "train")
    assert [len(one.turns), len(two.turns)] == [3, 5]
    stored = {id(row.tokens["audio"]) for row in rows}
    assert {id(turn.tokens["audio"]) for turn in (*one.turns, *two.turns)} <= stored


def test_the_cost_of_a_whole_run() -> None:
    cost = TrainingCost(
        step=2.0, utterances=10.0, memory=1.0, warm_up=9.0, epoch_steps=900, dev=1800 / DEV
    )
    assert cost.hours(epochs=20) == pytest.approx(20)
    half = replace(cost, step=1.0)
    assert half.hours(epochs=2) == pytest.approx(1.5)
    extraction = ExtractionCost(3600 / (TRAIN + DEV), 1.0, 1.0, workers=1, clips=1)
    assert extraction.hours() == pytest.approx(1)


def test_steps_are_measured(tmp_path: Path) -> None:
    save_tiny_encoders(tmp_path / "encoders")
    manifest = StoreManifest(
        package_version="0", modalities=SHAPES, extractor={name: {} for name in SHAPES}
    )
    store = FeatureStore.create(tmp_path / "features", manifest)
    generator = np.random.default_rng(0)
    store.write_shard(0, [make_row(number, generator) for number in range(3)])
    cost = measure_training(tmp_path, tmp_path / "empty", WAYS["BERT fine-tuned"], steps=2)
    turns = cost.utterances * cost.step * 2
    assert turns == pytest.approx(round(turns), abs=1e-6)
    # No batch has more than 64 turns, and one of short turns has nearly as many.
    assert 2 < turns <= 128
    assert TRAIN / 64 < cost.epoch_steps < 1038
    assert min(cost.step, cost.memory, cost.warm_up, cost.dev) > 0
