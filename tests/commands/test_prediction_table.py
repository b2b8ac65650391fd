"""The table of utterances that `predict` prints."""

from __future__ import annotations

import pytest
from conversation_factory import conversation, spoken

from avt_memocmt.commands.prediction_output import PredictionOutput
from avt_memocmt.inference.results import MediaPrediction, Speaker


def printed(result: MediaPrediction, capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    """The words of each line under the title."""
    PredictionOutput(None, as_json=False).take(result)
    return [line.split() for line in capsys.readouterr().out.splitlines()[1:]]


def test_known_speakers_have_a_column(capsys: pytest.CaptureFixture[str]) -> None:
    talk = conversation(
        spoken(0, 1, "S1", "joy", text="hi"),
        spoken(1, 2, "S2", "fear", text="oh"),
        spoken(2, 3, None, "joy", text="?"),
        speakers=[Speaker("S1", "Anna", 1.0), Speaker("S2", None, 1.0)],
    )
    assert printed(talk, capsys) == [
        ["start", "end", "speaker", "emotion", "confidence", "text", "warnings"],
        ["0.00", "1.00", "Anna", "joy", "0.70", "hi"],
        ["1.00", "2.00", "S2", "fear", "0.70", "oh"],
        ["2.00", "3.00", "joy", "0.70", "?"],
    ]


def test_without_speakers_there_is_no_column(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(conversation(spoken(0, 1, None, "joy", text="hi")), capsys) == [
        ["start", "end", "emotion", "confidence", "text", "warnings"],
        ["0.00", "1.00", "joy", "0.70", "hi"],
    ]


def test_a_long_name_is_cut_and_obeyed_by_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    who = Speaker("S1", "\x1b[2J" + "long " * 40, 1.0)
    (_, row) = printed(conversation(spoken(0, 1, "S1", "joy", text="hi"), speakers=[who]), capsys)
    assert row[2:6] == ["\\x1b[2Jlong", "long", "lo…", "joy"]
