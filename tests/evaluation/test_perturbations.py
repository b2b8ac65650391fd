"""Shuffled modalities and noisy values: what changes, and what must not."""

from __future__ import annotations

import numpy as np
import pytest

from avt_memocmt.data.dialogue_batch import TurnFeatures
from avt_memocmt.data.index import UtteranceKey
from avt_memocmt.data.labelled_dialogues import LabelledDialogue
from avt_memocmt.errors import AvtError
from avt_memocmt.evaluation.perturbations import add_value_noise, shuffle_modality
from avt_memocmt.features.base import Tokens
from avt_memocmt.features.text_encoder import TextInput

NAMES = 3


def tokens(number: float, count: int = NAMES) -> Tokens:
    """Named values that all are `number`."""
    return Tokens(np.full((count, 1), number, np.float32), np.zeros((count, 2), np.float32))


def dialogue(number: int, audio: list[float | None]) -> LabelledDialogue:
    """One turn per value; None has no audio; text tokens and words tell the turn."""
    turns = []
    for turn, value in enumerate(audio):
        found = {"text": tokens(100 * number + turn, count=turn + 1)}
        if value is not None:
            found["audio"] = tokens(value)
        words = TextInput(f"line {100 * number + turn}")
        turns.append(TurnFeatures(found, turn % 3, words))
    keys = tuple(UtteranceKey("dev", number, turn) for turn in range(len(audio)))
    return LabelledDialogue(keys, tuple(turns), np.arange(len(audio)) % 7)


def values(dialogues: list[LabelledDialogue], modality: str) -> list[float]:
    """The first value of every turn, NaN where the modality is absent."""
    return [
        float(turn.tokens[modality].values[0, 0]) if modality in turn.tokens else float("nan")
        for item in dialogues
        for turn in item.turns
    ]


SPLIT = [dialogue(0, [1.0, None, 2.0]), dialogue(1, [3.0]), dialogue(2, [4.0, 5.0, None, 6.0])]


@pytest.mark.parametrize("seed", range(20))
def test_each_turn_gets_the_tokens_of_another_turn(seed: int) -> None:
    before = np.array(values(SPLIT, "audio"))
    after = np.array(values(shuffle_modality(SPLIT, "audio", seed), "audio"))
    assert np.array_equal(np.isnan(before), np.isnan(after))
    assert not np.any(before == after)
    assert sorted(after[~np.isnan(after)]) == [1, 2, 3, 4, 5, 6]


def test_a_shuffle_leaves_everything_else_alone() -> None:
    for old, new in zip(SPLIT, shuffle_modality(SPLIT, "audio", 0), strict=True):
        assert old.keys == new.keys
        assert np.array_equal(old.emotions, new.emotions)
        for turn, shuffled in zip(old.turns, new.turns, strict=True):
            assert turn.tokens["text"] is shuffled.tokens["text"]
            assert turn.speaker_change == shuffled.speaker_change
            assert turn.words == shuffled.words
    assert values(SPLIT, "audio")[0] == 1.0


def test_shuffles_repeat_and_vary_with_the_seed() -> None:
    orders = [str(values(shuffle_modality(SPLIT, "audio", seed), "audio")) for seed in range(10)]
    assert orders[0] == str(values(shuffle_modality(SPLIT, "audio", 0), "audio"))
    assert len(set(orders)) > 5


def test_the_words_go_with_the_text_tokens() -> None:
    for item in shuffle_modality(SPLIT, "text", 1):
        for turn in item.turns:
            number = int(turn.tokens["text"].values[0, 0])
            assert turn.words.text == f"line {number}"
            assert len(turn.tokens["text"]) == number % 100 + 1


def test_nothing_to_shuffle_is_refused() -> None:
    with pytest.raises(AvtError, match="1 turns of the split have audio"):
        shuffle_modality([dialogue(0, [1.0, None])], "audio", 0)
    with pytest.raises(AvtError, match="0 turns of the split have visual"):
        shuffle_modality(SPLIT, "visual", 0)


def test_value_noise_has_the_deviation_that_was_asked_for() -> None:
    many = [dialogue(number, [7.0] * 50) for number in range(100)]
    scale = np.array([0.1, 1.0, 20.0])
    noisy = add_value_noise(many, "audio", 0.5, 0, scale)
    table = np.stack([turn.tokens["audio"].values[:, 0] for d in noisy for turn in d.turns])
    assert table.mean(axis=0) == pytest.approx([7.0] * 3, abs=0.5)
    assert table.std(axis=0) == pytest.approx(0.5 * scale, rel=0.05)
    correlation = np.corrcoef(table.T) - np.eye(3)
    assert np.abs(correlation).max() < 0.05


def test_what_was_not_measured_stays_so() -> None:
    holed = dialogue(0, [1.0, 2.0])
    holed.turns[0].tokens["audio"].values[1] = np.nan
    (noisy,) = add_value_noise([holed], "audio", 1.0, 0, np.ones(NAMES))
    assert np.isnan(noisy.turns[0].tokens["audio"].values[:, 0]).tolist() == [False, True, False]
    assert np.isfinite(noisy.turns[1].tokens["audio"].values).all()
    assert holed.turns[1].tokens["audio"].values[0, 0] == 2.0
    assert noisy.turns[0].tokens["text"] is holed.turns[0].tokens["text"]


def test_no_deviation_changes_nothing() -> None:
    unchanged = values(add_value_noise(SPLIT, "audio", 0.0, 0, np.ones(NAMES)), "audio")
    assert unchanged == pytest.approx(values(SPLIT, "audio"), nan_ok=True)


def test_tokens_that_are_no_named_values_are_refused() -> None:
    with pytest.raises(AvtError, match=r"dev dia0_utt0: its audio tokens .* named measurements"):
        add_value_noise(SPLIT, "audio", 1.0, 0, np.ones(NAMES + 1))
