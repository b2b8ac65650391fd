from pathlib import Path

import pytest

from avt_memocmt.errors import AvtError
from avt_memocmt.preprocessing.transcripts import (
    MAX_BYTES,
    Cue,
    group_cues,
    join_cues,
    load_transcript,
)

SRT = """1
00:00:01,000 --> 00:00:02,500
<i>It’s</i> a test
- on two lines.

2
00:00:03,000 --> 00:00:03,000 X1:100 X2:200
Zero length

3
01:02,250 --> 01:03.5
[door slams]
"""

VTT = """WEBVTT Kind: captions; Language: en

NOTE a remark with an arrow -->
and a second line

STYLE
::cue { color: red }

REGION
id:fred

intro
00:05.000 --> 00:06.000 align:start position:0%
<v.loud Ross Geller>Hi</v> &amp; <c.red>bye</c>

00:00:01.000 --> 00:00:09.000
<v Rachel>Late, <00:00:02.000>but first.</v>
<v Joey>Me too.
"""


def _write(folder: Path, name: str, content: str | bytes) -> str:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def test_srt_cues_are_timed_and_clean(tmp_path: Path) -> None:
    assert load_transcript(_write(tmp_path, "a.srt", SRT)) == [
        Cue("It's a test on two lines.", 1.0, 2.5),
        Cue("Zero length", 3.0, 3.0),
    ]


def test_vtt_voices_settings_and_other_blocks(tmp_path: Path) -> None:
    assert load_transcript(_write(tmp_path, "a.VTT", VTT)) == [
        Cue("Late, but first.", 1.0, 9.0, "Rachel"),
        Cue("Me too.", 1.0, 9.0, "Joey"),
        Cue("Hi & bye", 5.0, 6.0, "Ross Geller"),
    ]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]
)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends_do_not_matter(tmp_path: Path, encoding: str, newline: str) -> None:
    text = "1\n00:00:01,000 --> 00:00:02,000\nCafé… it’s “on”\nme\n\n2\n0:0:3,5 --> 0:0:4\nOlé\n"
    path = _write(tmp_path, "a.srt", text.replace("\n", newline).encode(encoding))
    expected = [Cue('Café... it\'s "on" me', 1.0, 2.0), Cue("Olé", 3.5, 4.0)]
    assert load_transcript(path) == expected


def test_missing_and_extra_blank_lines(tmp_path: Path) -> None:
    text = (
        "\n\n1\n00:00:05,000 --> 00:00:06,000\nLater\n\nand more\n"
        "\n2\n00:00:01,000 --> 00:00:02,000\nFirst, in 1999\n3\n00:00:03,000 --> 00:00:04,000\nthen"
        "\n\n4\n\n"
    )
    assert load_transcript(_write(tmp_path, "a.srt", text)) == [
        Cue("First, in 1999", 1.0, 2.0),
        Cue("then", 3.0, 4.0),
        Cue("Later and more", 5.0, 6.0),
    ]


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.srt", "1\n00:00:01,000 --> what\nHi\n", "line 2"),
        ("a.vtt", "WEBVTT\n\n00:00:02.000 --> 00:00:01.000\nHi\n", "line 3"),
        ("a.srt", "just prose\n", "line 1"),
        ("a.srt", "", "empty"),
        ("a.txt", " \n\n", "empty"),
        ("a.vtt", "", "empty"),
        ("a.srt", b"\x00\xff\xd8\x00\xdc\x00\x01", "not a text file"),
        ("a.ass", "[Script Info]", "convert"),
        ("a.srt", "1\n00:00:01,000 --> 00:00:02,000\n[laughter]\n", "sounds but no words"),
        ("a.txt", "[laughter]\n\u266a\n", "sounds but no words"),
        ("a.vtt", b"PK\x03\x04", "is a workbook"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, name: str, content: str | bytes, line: str) -> None:
    path = _write(tmp_path, name, content)
    with pytest.raises(AvtError, match=line) as caught:
        load_transcript(path)
    assert path in str(caught.value)


def test_too_large_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AvtError, match="10 MB"):
        load_transcript(_write(tmp_path, "a.txt", b"a\n" * (MAX_BYTES // 2 + 1)))


@pytest.mark.parametrize(
    "path",
    [
        *("talks/missing one.srt", "missing.srt", "missing.VTT ", "missing.ass", "missing.docx"),
        *("talks/missing", "./missing", "/no/such/file"),
    ],
)
def test_a_path_that_is_missing_is_not_taken_for_text(path: str) -> None:
    with pytest.raises(AvtError, match="does not exist"):
        load_transcript(path)


@pytest.mark.parametrize("text", ["", "  \n", "[laughs]", "\u266a \u266a"])
def test_a_text_without_words_is_refused(text: str) -> None:
    with pytest.raises(AvtError, match="the transcript has no words"):
        load_transcript(text)


def test_a_folder_is_no_transcript(tmp_path: Path) -> None:
    with pytest.raises(AvtError, match=r"is no \.srt, \.vtt, \.txt file"):
        load_transcript(str(tmp_path))


def test_text_is_one_cue() -> None:
    assert load_transcript("Oh my God… \x92tis") == [Cue("Oh my God... 'tis")]
    assert load_transcript("well.\nvideo.txt") == [Cue("well. video.txt")]
    assert load_transcript("yes and/or no") == [Cue("yes and/or no")]
    assert load_transcript("word " * 5000) == [Cue(("word " * 5000).strip())]


def test_txt_lines_are_cues_in_order(tmp_path: Path) -> None:
    path = _write(
        tmp_path, "a.txt", "\ufeffJoey: Hey!\n\nWell: no.\nMonica and Ross: Wait: what?\n[gasps]\n"
    )
    assert load_transcript(path) == [
        Cue("Hey!", speaker="Joey"),
        Cue("no.", speaker="Well"),  # most lines carry names, so this reads as one
        Cue("Wait: what?", speaker="Monica and Ross"),
    ]


def test_a_colon_alone_is_no_speaker(tmp_path: Path) -> None:
    lines = "Look: a bird.\nThey call me: 'Cookie Dude!'\nIt is 10:30.\nROSS: It is.\nSo\nand\non\n"
    assert [(cue.speaker, cue.text) for cue in load_transcript(_write(tmp_path, "a.txt", lines))][
        :4
    ] == [
        (None, "Look: a bird."),
        (None, "They call me: 'Cookie Dude!'"),
        (None, "It is 10:30."),
        ("ROSS", "It is."),
    ]


def merge_cues(cues: list[Cue]) -> list[Cue]:
    return [join_cues(group) for group in group_cues(cues)]


def test_merge_joins_broken_sentences_only() -> None:
    cues = [
        Cue("I was thinking", 0.0, 1.0),
        Cue("that we could go.", 1.1, 2.0),
        Cue("Now?", 2.1, 3.0),
        Cue("I thought...", 3.0, 4.0),
        Cue("...so too", 4.1, 5.0),
        Cue("after a pause", 5.8, 6.5),
        Cue("another voice", 6.5, 7.0, "Ross"),
        Cue("Hm...", 7.0, 7.5, "Ross"),
        Cue("No", 7.5, 8.0, "Ross"),
    ]
    assert merge_cues(cues) == [
        Cue("I was thinking that we could go.", 0.0, 2.0),
        Cue("Now?", 2.1, 3.0),
        Cue("I thought... ...so too", 3.0, 5.0),
        Cue("after a pause", 5.8, 6.5),
        Cue("another voice Hm...", 6.5, 7.5, "Ross"),
        Cue("No", 7.5, 8.0, "Ross"),
    ]


def test_merge_keeps_to_its_limits() -> None:
    cues = [Cue(f"part {i}", 2.0 * i, 2.0 * i + 1.9) for i in range(20)]
    merged = merge_cues(cues)
    assert max(cue.end - cue.start for cue in merged if cue.end and cue.start is not None) <= 12.0
    assert " ".join(cue.text for cue in merged) == " ".join(cue.text for cue in cues)
    assert len(merged) == 4
    overlapping = [Cue("long one", 0.0, 5.0), Cue("short inside", 1.0, 2.0)]
    assert merge_cues(overlapping) == [Cue("long one short inside", 0.0, 5.0)]
    untimed = [Cue("a"), Cue("b")]
    assert merge_cues(untimed) == untimed
