"""RTTM and UEM files: what is written is read back, and broken lines are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from avt_memocmt.errors import AvtError
from avt_memocmt.speakers.rttm import NamedTurn, read_rttm, read_uem, rttm_text
from avt_memocmt.speakers.turns import SpeakerTurn

LINE = "SPEAKER talk 1 0.500 1.250 <NA> <NA> anna <NA> <NA>\n"


def test_written_turns_are_read_back(tmp_path: Path) -> None:
    turns = (SpeakerTurn(0.5, 1.75, 0), SpeakerTurn(1.5, 3.0, 1))
    path = tmp_path / "talk.rttm"
    path.write_text(rttm_text("my talk", turns), encoding="utf-8")
    assert read_rttm(path) == {"my_talk": [NamedTurn(0.5, 1.75, "S1"), NamedTurn(1.5, 3.0, "S2")]}


def test_comments_and_other_types_of_lines_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "talk.rttm"
    info = "SPKR-INFO talk 1 <NA> <NA> <NA> adult_female anna <NA>\n"
    path.write_text(f";; by hand\n\n{info}{LINE}", encoding="utf-8")
    assert read_rttm(path) == {"talk": [NamedTurn(0.5, 1.75, "anna")]}


@pytest.mark.parametrize(
    "line",
    [
        "SPEAKER talk 1 0.5\n",
        "TURN talk 1 0.5 1.0 <NA> <NA> anna <NA> <NA>\n",
        "SPEAKER talk 1 soon 1.0 <NA> <NA> anna <NA> <NA>\n",
        "SPEAKER talk 1 0.5 -1.0 <NA> <NA> anna <NA> <NA>\n",
        "SPEAKER talk 1 nan 1.0 <NA> <NA> anna <NA> <NA>\n",
        "SPEAKER talk 1 0.5 1e300 <NA> <NA> anna <NA> <NA>\n",
    ],
)
def test_broken_turns_are_named_by_their_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "talk.rttm"
    path.write_text(LINE + line, encoding="utf-8")
    with pytest.raises(AvtError, match="line 2"):
        read_rttm(path)


@pytest.mark.parametrize("line", ["talk 1 0.0\n", "talk 1 5.0 2.0\n", "talk 1 0.0 inf\n"])
def test_broken_stretches_are_named_by_their_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "talk.uem"
    path.write_text(f"talk 1 0.0 4.0\n{line}", encoding="utf-8")
    with pytest.raises(AvtError, match="line 2"):
        read_uem(path)


@pytest.mark.parametrize("reader", [read_rttm, read_uem])
def test_an_empty_file_is_refused(tmp_path: Path, reader: object) -> None:
    path = tmp_path / "empty.rttm"
    path.touch()
    with pytest.raises(AvtError, match="give a"):
        reader(path)  # type: ignore[operator]
