"""MELD's tables: both time formats, repaired text, and one sentence for what is wrong."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from meld_factory import HEADER, Row, write_table

from avt_memocmt.data.meld.table import parse_time, read_meld_table
from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.errors import AvtError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("00:16:16,059", 976.059),
        ("0:16:31,240", 991.240),
        ("00:06:47,28", 407.28),
        ("01:00:00.5", 3600.5),
        ("0:00:07", 7.0),
        ("00:16", None),
        ("00:61:00,000", None),
        ("-0:00:01,000", None),
        ("soon", None),
        ("", None),
    ],
)
def test_times_of_both_formats(text: str, seconds: float | None) -> None:
    assert parse_time(text) == seconds


def test_text_is_repaired_and_rows_are_ordered_by_id(tmp_path: Path) -> None:
    rows = [
        Row(1, 10, "Third"),
        Row(1, 2, "You\x92re \x93here\x94 \x96 at\xa0last\x85", "Joey and Chandler"),
        Row(0, 3, "\u201cCurly\u201d it\u2019s"),
    ]
    read = read_meld_table(write_table(tmp_path / "dev_sent_emo.csv", rows), "dev")
    assert [str(row.key) for row in read] == ["dev dia0_utt3", "dev dia1_utt2", "dev dia1_utt10"]
    assert [row.text for row in read] == [
        '"Curly" it\'s',
        'You\'re "here" \u2013 at last...',
        "Third",
    ]
    assert [row.is_repaired for row in read] == [False, True, False]
    assert read[1].speaker == "Joey and Chandler"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (Row(0, 0, "Hi", emotion="glee"), "line 3: unknown emotion 'glee'"),
        (Row(0, 0, "Hi", start="soon"), "line 3: StartTime 'soon' is not a time"),
        (Row(0, 0, "Hi", end="1:2"), "line 3: EndTime '1:2' is not a time"),
        (Row("x", 0, "Hi"), "line 3: Dialogue_ID 'x' is not a whole number"),
        (Row(0, "-1", "Hi"), "line 3: Utterance_ID '-1' is not a whole number"),
        (Row(7, 7, "Hi"), "line 3: train dia7_utt7 is there twice"),
    ],
)
def test_a_bad_row_is_refused_with_its_line(tmp_path: Path, row: Row, message: str) -> None:
    table = write_table(tmp_path / "train_sent_emo.csv", [Row(7, 7, "Fine"), row])
    with pytest.raises(AvtError, match=message) as error:
        read_meld_table(table, "train")
    assert str(table) in str(error.value)


def test_every_missing_column_is_named(tmp_path: Path) -> None:
    header = ["Feeling" if name == "Emotion" else name for name in HEADER if name != "Season"]
    table = write_table(tmp_path / "train_sent_emo.csv", [], header)
    with pytest.raises(AvtError, match="lacks the column Emotion, Season;"):
        read_meld_table(table, "train")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (",".join(HEADER).encode() + b"\n", "has no rows"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xd8", "is not a text file"),
        (None, "is missing"),
    ],
)
def test_an_unreadable_table_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    table = tmp_path / "train_sent_emo.csv"
    if content is not None:
        table.write_bytes(content)
    with pytest.raises(AvtError, match=message):
        read_meld_table(table, "train")


def test_labels_of_the_release_keep_their_supports(data_dir: Path) -> None:
    rows = read_meld_table(data_dir / "meld" / "train_sent_emo.csv", "train")
    counts = Counter(EMOTIONS[row.emotion] for row in rows)
    assert [counts[name] for name in EMOTIONS] == [4710, 1205, 268, 683, 1743, 271, 1109]
