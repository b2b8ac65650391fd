"""From which utterances of a speaker a baseline is taken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avt_memocmt.data.baseline_scope import BaselineScope, read_scope
from avt_memocmt.data.dialogue_batch import TurnFeatures
from avt_memocmt.data.index import UtteranceKey
from avt_memocmt.data.labelled_dialogues import LabelledDialogue
from avt_memocmt.data.set_baselines import with_baselines
from avt_memocmt.data.speaker_baselines import SpeakerBaselines, token_statistics
from avt_memocmt.errors import AvtError
from avt_memocmt.features.base import Tokens

GENERATOR = np.random.default_rng(0)


def tokens(width: int = 3) -> Tokens:
    values = GENERATOR.normal(size=(4, width)).astype(np.float16)
    return Tokens(values, np.zeros((4, 2), np.float32))


def dialogue(number: int, *turns: tuple[str | None, tuple[str, ...]]) -> LabelledDialogue:
    return LabelledDialogue(
        tuple(UtteranceKey("dev", number, turn) for turn in range(len(turns))),
        tuple(TurnFeatures({m: tokens() for m in heard}, speaker=who) for who, heard in turns),
        np.arange(len(turns)) % 7,
    )


BOTH = ("audio", "visual")
SET = [
    dialogue(0, ("Ann", BOTH), ("Bob", BOTH), ("Ann", ("audio",)), ("Ann", BOTH), (None, BOTH)),
    dialogue(1, ("Ann", BOTH), ("", BOTH), ("", BOTH), ("Cid", BOTH), ("Ann", ("audio",))),
]
ANN = [(0, 0), (0, 2), (0, 3), (1, 0), (1, 4)]
"""Dialogue and turn of what she says."""


def statistics(place: tuple[int, int], modality: str = "audio") -> np.ndarray:
    return token_statistics(SET[place[0]].turns[place[1]].tokens[modality])


def baselines(scope: BaselineScope) -> dict[tuple[int, int], dict]:
    found = with_baselines(SET, scope)
    return {
        (d, t): turn.baselines for d, one in enumerate(found) for t, turn in enumerate(one.turns)
    }


def test_the_past_is_that_of_the_dialogue() -> None:
    found = baselines("past")
    assert {place for place, own in found.items() if own} == {(0, 2), (0, 3), (1, 4)}
    assert (found[0, 3]["audio"].count, found[0, 3]["visual"].count) == (2, 1)
    expected = np.mean([statistics((0, 0)), statistics((0, 2))], axis=0)
    np.testing.assert_allclose(found[0, 3]["audio"].statistics, expected, rtol=1e-5)
    assert found[0, 3]["audio"].statistics.dtype == np.float32


def test_all_others_of_the_speaker_count_and_not_the_utterance_itself() -> None:
    found = baselines("all")
    assert {place for place, own in found.items() if own} == set(ANN)
    for place in ANN:
        others = [statistics(other) for other in ANN if other != place]
        np.testing.assert_allclose(
            found[place]["audio"].statistics, np.mean(others, axis=0), rtol=1e-4
        )
        assert found[place]["audio"].count == 4
    assert set(found[0, 2]) == {"audio"}


def test_a_face_is_judged_against_the_speakers_other_faces() -> None:
    found = baselines("all")[0, 0]["visual"]
    expected = np.mean([statistics(p, "visual") for p in [(0, 3), (1, 0)]], axis=0)
    np.testing.assert_allclose(found.statistics, expected, rtol=1e-4)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_so_many_others_are_drawn_and_always_the_same(count: int) -> None:
    found = baselines(count)
    for place in ANN:
        own = found[place]["audio"]
        assert own.count == count
        np.testing.assert_array_equal(own.statistics, baselines(count)[place]["audio"].statistics)
        total = own.statistics * count
        others = np.stack([statistics(other) for other in ANN if other != place])
        share = np.linalg.lstsq(others.T, total, rcond=None)[0]
        np.testing.assert_allclose(np.sort(share), [0] * (4 - count) + [1] * count, atol=1e-3)


def test_more_are_drawn_than_there_are() -> None:
    few, everything = baselines(9), baselines("all")
    for place in ANN:
        assert few[place]["audio"].count == 4
        np.testing.assert_array_equal(
            few[place]["audio"].statistics, everything[place]["audio"].statistics
        )


def test_other_speakers_change_no_draw() -> None:
    alone = with_baselines([SET[1].select([0, 4]), SET[0].select([0, 2, 3])], 1)
    among = with_baselines([SET[1].select([0, 3, 4]), SET[0]], 1)
    np.testing.assert_array_equal(
        alone[0].turns[1].baselines["audio"].statistics,
        among[0].turns[2].baselines["audio"].statistics,
    )


def test_labels_are_not_looked_at() -> None:
    unlike = [replace(one, emotions=np.zeros(len(one.turns), np.int64)) for one in SET]
    for one, other in zip(with_baselines(SET, "all"), with_baselines(unlike, "all"), strict=True):
        for turn, same in zip(one.turns, other.turns, strict=True):
            for m, own in turn.baselines.items():
                np.testing.assert_array_equal(own.statistics, same.baselines[m].statistics)


def test_off_removes_what_was_known() -> None:
    assert not any(
        t.baselines for d in with_baselines(with_baselines(SET, "all"), "off") for t in d.turns
    )


def test_measurements_with_names_have_no_baseline() -> None:
    known = SpeakerBaselines()
    known.add(
        "Ann", {"audio": tokens(1), "text": tokens(), "visual": Tokens(*[np.zeros((0, 2))] * 2)}
    )
    known.add("", {"audio": tokens()})
    assert known.of("Ann") == {}
    assert known.of("") == known.of(None) == known.of("Bob") == {}


def test_a_set_that_names_nobody_is_refused() -> None:
    nameless = [SET[1].select([1, 2])]
    for scope in ("all", 3):
        with pytest.raises(AvtError, match=f"baseline {scope} needs the column speaker"):
            with_baselines(nameless, scope)
    assert with_baselines(nameless, "past")[0].turns[1].baselines == {}


@pytest.mark.parametrize("text", ["", "none", "0", "-1", "2.5", "ALL"])
def test_another_scope_is_refused(text: str) -> None:
    with pytest.raises(AvtError, match="give off, past, all, or how many"):
        read_scope(text)


def test_scopes_are_read() -> None:
    assert [read_scope(text) for text in ("off", "past", "all", "12")] == ["off", "past", "all", 12]
