"""How many speak and what they are called, as callers and files say it."""

from __future__ import annotations

from pathlib import Path

import pytest

from avt_memocmt.errors import AvtError
from avt_memocmt.inference.speaker_settings import (
    MOST_SPEAKERS,
    read_speaker_names,
    speaker_settings,
)


def test_counts_are_read_as_users_write_them() -> None:
    assert speaker_settings("3").known_count == speaker_settings(3).known_count == 3
    assert speaker_settings("auto").known_count is None
    assert not speaker_settings("off").is_wanted
    bounded = speaker_settings("auto", 2, 4)
    assert (bounded.least, bounded.most) == (2, 4)


@pytest.mark.parametrize("count", [0, "0", -1, True, 2.0, None, "many", "", MOST_SPEAKERS + 1])
def test_other_counts_are_refused(count: object) -> None:
    with pytest.raises(AvtError, match="is no number of speakers; give auto, off, or 1 to 20"):
        speaker_settings(count)


def test_bounds_that_cannot_be_are_refused() -> None:
    with pytest.raises(AvtError, match="at least 4 and at most 3 speakers cannot be"):
        speaker_settings("auto", 4, 3)
    with pytest.raises(AvtError, match="bound what auto finds"):
        speaker_settings(2, 1, 3)


def test_names_are_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("# who\nS1 = Anna\r\n\n  S2=Béla = Bartók \n", encoding="utf-8")
    assert read_speaker_names(path) == {"S1": "Anna", "S2": "Béla = Bartók"}
    assert speaker_settings("auto", names=path).names == read_speaker_names(path)
    assert speaker_settings("auto", names={"S1": "Anna"}).names == {"S1": "Anna"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("S1 Anna\n", "line 1 names nobody; write it as S1 = Anna"),
        ("S1 = Anna\nS2 =\n", "line 2 names nobody"),
        ("S1 = Anna\nS1 = Eva\n", "line 2 names S1 again"),
    ],
)
def test_broken_names_are_refused(content: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text(content)
    with pytest.raises(AvtError, match=reason):
        read_speaker_names(path)


def test_a_missing_file_of_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AvtError, match="cannot read the names of speakers"):
        speaker_settings("auto", names=tmp_path / "none.txt")
