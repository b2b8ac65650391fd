"""Dialogues joined from feature stores, and their division into batches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avt_memocmt.config import TokenShape
from avt_memocmt.data.dialogue_batch import (
    SPEAKER_CHANGED,
    SPEAKER_SAME,
    SPEAKER_UNKNOWN,
    TurnFeatures,
)
from avt_memocmt.data.feature_store import FeatureRow, FeatureStore, StoreManifest
from avt_memocmt.data.index import UNLABELLED, UtteranceKey
from avt_memocmt.data.labelled_dialogues import (
    LabelledDialogue,
    load_dialogues,
    similar_length_batches,
)
from avt_memocmt.errors import AvtError
from avt_memocmt.features.base import Tokens
from avt_memocmt.features.text_encoder import ContextTurn, TextInput

SHAPES = {
    "audio": TokenShape(dim=1, names=("pitch", "level")),
    "visual": TokenShape(dim=3),
    "text": TokenShape(dim=4),
}
TURNS = (("Ann", "Hi."), ("Ann", ""), ("Bob", "What?"), (None, "Us all!"), ("Ann", "No."))


def make_tokens(modality: str, count: int, value: float) -> Tokens:
    values = np.full((count, SHAPES[modality].dim), value, np.float32)
    return Tokens(values, np.zeros((count, 2), np.float32))


def make_rows(*modalities: str, split: str = "dev", dialogue: int = 7) -> list[FeatureRow]:
    """Utterance ids have a gap; the last turn has no tokens and no label."""
    return [
        FeatureRow(
            UtteranceKey(split, dialogue, 2 * i),
            speaker,
            text,
            UNLABELLED if i == 4 else i,
            1.5 + i,
            {} if i == 4 else {m: make_tokens(m, 2, i) for m in modalities},
            ("no_face",) if "visual" in modalities else ("short",),
        )
        for i, (speaker, text) in enumerate(TURNS)
    ]


def make_store(folder: Path, modalities: tuple[str, ...], rows: list[FeatureRow]) -> FeatureStore:
    manifest = StoreManifest(
        package_version="0",
        modalities={m: SHAPES[m] for m in modalities},
        extractor={m: {} for m in modalities},
    )
    store = FeatureStore.create(folder, manifest)
    store.write_shard(0, rows)
    return store


@pytest.fixture
def stores(tmp_path: Path) -> list[FeatureStore]:
    """Rows out of order, the second store without one utterance and with one of its own."""
    text = make_store(tmp_path / "text", ("text",), make_rows("text")[::-1])
    other = make_rows("audio", "visual")
    extra = make_rows("audio", "visual", dialogue=8)[:1]
    values = np.array([[200.0], [np.nan]], np.float32)
    other[0].tokens["audio"] = Tokens(values, np.zeros((2, 2), np.float32))
    found = make_store(tmp_path / "other", ("audio", "visual"), [*other[:2], *other[3:], *extra])
    return [text, found]


def test_dialogues_are_joined_by_utterance(stores: list[FeatureStore]) -> None:
    (dialogue,) = load_dialogues(stores, "dev", ["audio", "visual", "text"])
    assert dialogue.keys == tuple(UtteranceKey("dev", 7, turn) for turn in (0, 2, 4, 6, 8))
    assert dialogue.emotions.tolist() == [0, 1, 2, 3, UNLABELLED]
    assert dialogue.emotions.dtype == np.int64
    assert [set(turn.tokens) for turn in dialogue.turns] == [
        {"audio", "visual", "text"},
        {"audio", "visual", "text"},
        {"text"},
        {"audio", "visual", "text"},
        set(),
    ]
    assert np.all(dialogue.turns[3].tokens["visual"].values == 3)
    assert dialogue.turns[1].tokens["text"].values.dtype == np.float16
    assert dialogue.targets.argmax(axis=1).tolist() == [0, 1, 2, 3, 0]
    assert dialogue.targets.sum(axis=1).tolist() == [1, 1, 1, 1, 0]


def test_named_values_that_were_not_measured_stay_nan(stores: list[FeatureStore]) -> None:
    (dialogue,) = load_dialogues(stores, "dev", ["audio"])
    values = dialogue.turns[0].tokens["audio"].values[:, 0]
    assert values[0] == 200.0
    assert np.isnan(values[1])


def test_modalities_not_asked_for_are_left_out(stores: list[FeatureStore]) -> None:
    (dialogue,) = load_dialogues(stores, "dev", ["visual"])
    assert {m for turn in dialogue.turns for m in turn.tokens} == {"visual"}
    (words,) = load_dialogues(stores, "dev", [])
    assert not any(turn.tokens for turn in words.turns)
    assert [turn.words for turn in words.turns] == [turn.words for turn in dialogue.turns]


def test_speakers_and_context(stores: list[FeatureStore]) -> None:
    (dialogue,) = load_dialogues(stores, "dev", ["text"])
    assert [turn.speaker_change for turn in dialogue.turns] == [
        SPEAKER_UNKNOWN,
        SPEAKER_SAME,
        SPEAKER_CHANGED,
        SPEAKER_UNKNOWN,
        SPEAKER_UNKNOWN,
    ]
    words = [turn.words for turn in dialogue.turns]
    assert words[0] == TextInput("Hi.", (), 1.5)
    assert words[1] == TextInput("", (ContextTurn("Hi.", True),), 2.5)
    assert words[3].context == (ContextTurn("Hi."), ContextTurn("What?"))
    assert words[4].context == (
        ContextTurn("Hi.", True),
        ContextTurn("What?", False),
        ContextTurn("Us all!", None),
    )


def test_dialogues_come_in_the_order_of_their_ids(tmp_path: Path) -> None:
    rows = [row for number in (11, 2, 5) for row in make_rows("text", dialogue=number)]
    store = make_store(tmp_path, ("text",), [*rows, *make_rows("text", split="train")])
    assert [d.keys[0].dialogue_id for d in load_dialogues([store], "dev", ["text"])] == [2, 5, 11]


def test_a_modality_must_be_in_exactly_one_store(
    stores: list[FeatureStore], tmp_path: Path
) -> None:
    twin = make_store(tmp_path / "twin", ("visual",), make_rows("visual"))
    with pytest.raises(AvtError, match=r"other and .*twin both hold visual features; give only"):
        load_dialogues([*stores, twin], "dev", ["visual"])
    assert load_dialogues([*stores, twin], "dev", ["text"])
    with pytest.raises(AvtError, match=r"no visual features in .*text; give a store"):
        load_dialogues(stores[:1], "dev", ["visual"])


def test_a_store_without_the_split_is_named(stores: list[FeatureStore], tmp_path: Path) -> None:
    with pytest.raises(AvtError, match="text has no utterance of the split train; extract"):
        load_dialogues(stores, "train", ["text"])
    faces = make_store(tmp_path / "faces", ("visual",), make_rows("visual", split="train"))
    with pytest.raises(AvtError, match="faces has no utterance of the split dev"):
        load_dialogues([stores[0], faces], "dev", ["text", "visual"])


def test_stores_of_two_corpora_are_refused(stores: list[FeatureStore], tmp_path: Path) -> None:
    faces = make_store(tmp_path / "faces", ("visual",), make_rows("visual", dialogue=1))
    with pytest.raises(AvtError, match="share no utterance of the split dev"):
        load_dialogues([stores[0], faces], "dev", ["text", "visual"])


def make_dialogue(number: int, turns: int, **tokens: int) -> LabelledDialogue:
    found = {m: make_tokens(m, count, 0.0) for m, count in tokens.items()}
    keys = tuple(UtteranceKey("train", number, turn) for turn in range(turns))
    turn = TurnFeatures(found, words=TextInput("two words"))
    return LabelledDialogue(keys, (turn,) * turns, np.zeros(turns, np.int64))


def padded_tokens(dialogues: list[LabelledDialogue], rows: list[int]) -> int:
    chosen = [dialogues[row] for row in rows]
    longest = [
        max(len(t.tokens[m]) if m in t.tokens else 0 for d in chosen for t in d.turns)
        for m in SHAPES
    ]
    return len(chosen) * max(len(d.turns) for d in chosen) * sum(longest)


@pytest.fixture(scope="module")
def many() -> list[LabelledDialogue]:
    draw = np.random.default_rng(0)
    return [
        make_dialogue(
            i,
            int(draw.integers(1, 9)),
            text=int(draw.integers(2, 20)),
            audio=int(draw.integers(0, 9)),
        )
        for i in range(60)
    ]


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_batches_keep_the_budget_and_hold_every_dialogue_once(
    many: list[LabelledDialogue], seed: int | None
) -> None:
    draw = None if seed is None else np.random.default_rng(seed)
    batches = similar_length_batches(many, draw, most_tokens=400)
    assert sorted(row for batch in batches for row in batch) == list(range(60))
    assert all(len(batch) == 1 or padded_tokens(many, batch) <= 400 for batch in batches)
    padded = sum(padded_tokens(many, batch) for batch in batches)
    assert padded < 1.6 * sum(padded_tokens(many, [row]) for row in range(60))
    assert len(batches) < 45


def test_a_dialogue_over_the_budget_is_a_batch_of_its_own() -> None:
    dialogues = [make_dialogue(i, 2, text=count) for i, count in enumerate((5, 50, 5, 60))]
    assert similar_length_batches(dialogues, most_tokens=20) == [[0, 2], [1], [3]]


def test_words_count_where_text_is_not_stored_and_nothing_counts_as_one() -> None:
    read, silent = make_dialogue(0, 1), make_dialogue(1, 1)
    silent = replace(silent, turns=(TurnFeatures(),))
    assert similar_length_batches([read] * 6, most_tokens=4) == [[0, 1], [2, 3], [4, 5]]
    assert similar_length_batches([silent] * 6, most_tokens=4) == [[0, 1, 2, 3], [4, 5]]


def test_a_generator_varies_the_batches_and_its_seed_repeats_them(
    many: list[LabelledDialogue],
) -> None:
    first, again, other = (
        similar_length_batches(many, np.random.default_rng(seed), most_tokens=400)
        for seed in (4, 4, 5)
    )
    assert first == again
    assert sorted(map(sorted, first)) != sorted(map(sorted, other))
    same = similar_length_batches(many, most_tokens=400)
    assert same == similar_length_batches(many, most_tokens=400)


def test_a_batch_has_no_more_dialogues_or_turns_than_allowed(many: list[LabelledDialogue]) -> None:
    draw = np.random.default_rng(0)
    by_count = similar_length_batches(many, draw, most_dialogues=7)
    assert sorted(row for batch in by_count for row in batch) == list(range(60))
    assert sorted(map(len, by_count)) == [4] + [7] * 8
    by_turns = similar_length_batches(many, draw, most_turns=16)
    assert all(len(rows) * max(len(many[r].turns) for r in rows) <= 16 for rows in by_turns)


def test_some_turns_of_a_dialogue_keep_what_is_theirs(stores: list[FeatureStore]) -> None:
    (dialogue,) = load_dialogues(stores, "dev", ["text"])
    soft = replace(dialogue, soft_targets=np.arange(35, dtype=np.float32).reshape(5, 7))
    part = soft.select([1, 3])
    assert part.keys == (dialogue.keys[1], dialogue.keys[3])
    assert part.turns == (dialogue.turns[1], dialogue.turns[3])
    assert part.emotions.tolist() == [1, 3]
    assert part.targets[:, 0].tolist() == [7.0, 21.0]
    singles = dialogue.single_turns()
    assert [single.keys for single in singles] == [(key,) for key in dialogue.keys]
    assert [s.turns[0].words for s in singles] == [turn.words for turn in dialogue.turns]


def test_the_context_can_be_limited(stores: list[FeatureStore]) -> None:
    (dialogue,) = load_dialogues(stores, "dev", ["text"])
    limited = dialogue.with_context(1)
    assert [len(turn.words.context) for turn in limited.turns] == [0, 1, 1, 1, 1]
    assert limited.turns[4].words.context == (ContextTurn("Us all!", None),)
    assert not any(turn.words.context for turn in dialogue.with_context(0).turns)
