"""Captions as people have them: rolling, broken, badly timed, in other encodings and names."""

from __future__ import annotations

from pathlib import Path

import pytest

from avt_memocmt.errors import AvtError
from avt_memocmt.preprocessing.captions import Caption
from avt_memocmt.preprocessing.rolling_captions import as_spoken
from avt_memocmt.preprocessing.transcripts import Cue, Transcript, load_transcript

LINES = ("I am so happy to see", "you again my dear friend", "this is terrible news and")
STARTS = (0.0, 2.01, 5.7)
ENDS = (2.0, 3.7, 7.5)


def stamp(seconds: float, comma: str = ".") -> str:
    minutes, rest = divmod(seconds, 60)
    return f"00:{int(minutes):02}:{rest:06.3f}".replace(".", comma)


def timed_words(line: str, start: float, step: float = 0.3) -> str:
    """A line as YouTube writes it, a time before each word but the first."""
    first, *words = line.split()
    times = (stamp(start + step * (n + 1)) for n in range(len(words)))
    return first + "".join(f"<{t}><c> {word}</c>" for t, word in zip(times, words, strict=True))


def youtube(word_times: bool) -> str:
    """Each line while it is said, above the one before; then alone until the next."""
    blocks = ["WEBVTT\nKind: captions\nLanguage: en\n"]
    above = " "
    for number, (line, start, end) in enumerate(zip(LINES, STARTS, ENDS, strict=True)):
        until = STARTS[number + 1] if number + 1 < len(STARTS) else end + 1.0
        said = timed_words(line, start) if word_times else line
        place = "align:start position:0%"
        blocks.append(f"{stamp(start)} --> {stamp(end)} {place}\n{above}\n{said}\n")
        blocks.append(f"{stamp(end)} --> {stamp(until)} {place}\n{line}\n \n")
        above = line
    return "\n".join(blocks)


def load(folder: Path, name: str, content: str | bytes) -> Transcript:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load_transcript(str(path))


def spans(cues: list[Cue]) -> list[tuple[float | None, float | None, str]]:
    return [(cue.start, cue.end, cue.text) for cue in cues]


@pytest.mark.parametrize("word_times", [True, False], ids=["word times", "plain"])
def test_rolling_captions_are_said_once(tmp_path: Path, word_times: bool) -> None:
    cues = load(tmp_path, "a.vtt", youtube(word_times))
    assert [cue.text for cue in cues] == list(LINES)
    assert [cue.start for cue in cues] == list(STARTS)
    if word_times:
        said = [
            start + 0.3 * line.count(" ") + 1 for start, line in zip(STARTS, LINES, strict=True)
        ]
        ends = [min(end, last) for end, last in zip(ENDS, said, strict=True)]
        assert [cue.end for cue in cues] == pytest.approx(ends)


def test_a_pause_within_a_line_parts_it(tmp_path: Path) -> None:
    said = "yes<00:00:01.300><c> please</c><00:00:07.000><c> no</c>"
    cues = load(tmp_path, "a.vtt", f"WEBVTT\n\n00:01.000 --> 00:09.000\n{said}\n")
    assert spans(cues) == [(1.0, 2.3, "yes please"), (7.0, 8.0, "no")]


def test_lines_that_grow_word_by_word_are_said_once() -> None:
    words = LINES[0].split()
    grown = [Caption(n, n + 1, " ".join(words[: n + 1])) for n in range(len(words))]
    assert [caption.text for caption in as_spoken(grown)] == words


def test_lines_that_roll_up_in_three_rows_are_said_once() -> None:
    lines = ["one two", "three", "four five", "six", "seven eight"]
    rolled = [Caption(n, n + 1, "\n".join(lines[max(0, n - 2) : n + 1])) for n in range(5)]
    assert [caption.text for caption in as_spoken(rolled)] == lines


@pytest.mark.parametrize("texts", [["No!", "No!", "No!"], ["Why?", "Why not?", "Why not me?"]])
def test_somebody_may_say_the_same_again(texts: list[str]) -> None:
    apart = [Caption(2.0 * n, 2.0 * n + 1, text) for n, text in enumerate(texts)]
    assert as_spoken(apart) == apart
    assert as_spoken(apart[:2]) == apart[:2]
    chant = [Caption(n, n + 1, "No!") for n in range(5)]
    assert as_spoken(chant) == chant


def test_a_caption_that_is_there_twice_counts_once() -> None:
    one, two = Caption(0, 1, "Hi"), Caption(1, 2, "there")
    assert as_spoken([one, one, two, two]) == [one, two]


def test_captions_that_stay_under_the_next_one_end_where_it_begins() -> None:
    staying = [Caption(2.0 * n, 2.0 * n + 4, f"line {n}") for n in range(4)]
    assert [(c.start, c.end) for c in as_spoken(staying)] == [(0, 2), (2, 4), (4, 6), (6, 10)]
    signs = [Caption(0, 60, "a sign"), Caption(1, 2, "a"), Caption(3, 4, "b"), Caption(5, 6, "c")]
    assert as_spoken(signs) == signs


GOOD = "".join(f"{n}\n00:00:0{n},000 --> 00:00:0{n},900\nline {n}\n\n" for n in range(1, 5))


@pytest.mark.parametrize(
    ("broken", "line"),
    [
        ("9\n00:00:01,000 --> what\nnot said\n", 18),
        ("9\n00:00:08,000 --> 00:00:07,000\nnot said\n\nnor this\n", 18),
        ("9\nno times here\n", 17),
    ],
)
def test_one_broken_caption_leaves_the_others(tmp_path: Path, broken: str, line: int) -> None:
    cues = load(tmp_path, "a.srt", GOOD + broken)
    assert [cue.text for cue in cues] == [f"line {n}" for n in range(1, 5)]
    assert cues.dropped == {"broken": 1}
    assert cues.broken_lines == (line,)


def test_a_mostly_broken_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AvtError, match=r"line 2 of .* \(3 others are broken too\)"):
        load(tmp_path, "a.srt", GOOD.replace("-->", "..").replace("..", "-->x") + "\n")


def test_captions_without_words_are_counted(tmp_path: Path) -> None:
    sounds = "".join(
        f"00:00:1{n},000 --> 00:00:1{n},900\n{text}\n\n"
        for n, text in enumerate(["[laughter]", "(music)", "\u266a", ""])
    )
    cues = load(tmp_path, "a.srt", GOOD + sounds)
    assert len(cues) == 4
    assert cues.dropped == {"no_words": 4}


def test_times_that_a_translator_spaced_out_are_read(tmp_path: Path) -> None:
    text = "1\n00: 00: 01, 500 -> 00: 00: 02, 000\nHola\n"
    assert spans(load(tmp_path, "a.srt", text)) == [(1.5, 2.0, "Hola")]


@pytest.mark.parametrize("name", ["a.txt", "a.vtt", "a.srt"])
@pytest.mark.parametrize("header", ["", "WEBVTT\n\n"])
def test_the_content_tells_the_format(tmp_path: Path, name: str, header: str) -> None:
    cues = load(tmp_path, name, header + GOOD)
    assert [cue.start for cue in cues] == [1.0, 2.0, 3.0, 4.0]
    assert cues[0].text == "line 1"


@pytest.mark.parametrize(
    ("encoding", "lines"),
    [
        ("cp1251", ["Я так рад тебя видеть", "Это ужасная новость"]),
        ("koi8-r", ["Я так рад тебя видеть", "Это ужасная новость"]),
        ("gbk", ["我很高兴再次见到你", "这是个坏消息"]),
        ("big5", ["我很高興再次見到你", "這是個壞消息"]),
        ("shift-jis", ["また会えてとても嬉しいです", "ひどい知らせだ とても悲しい"]),
        ("euc-kr", ["나는 너무 행복해", "정말 슬픈 소식이야"]),
        ("cp1250", ["Jsem tak šťastný, že tě vidím", "To je hrozná zpráva, příteli"]),
        ("cp1254", ["Seni gördüğüme çok sevindim", "Bu çok kötü bir haber, arkadaşım"]),
        ("latin-1", ["Je suis très heureux", "Ça va, déjà?"]),
        ("utf-32", ["Je suis très heureux", "Ça va, déjà?"]),
    ],
)
def test_encodings_are_found_out(tmp_path: Path, encoding: str, lines: list[str]) -> None:
    srt = "".join(f"00:00:0{n},000 --> 00:00:0{n},900\n{t}\n\n" for n, t in enumerate(lines))
    assert [cue.text for cue in load(tmp_path, "a.srt", srt.encode(encoding))] == lines


def test_marks_of_a_new_speaker_are_not_said(tmp_path: Path) -> None:
    text = "00:01.000 --> 00:02.000\n&gt;&gt; Hello.\n>>> And now\n"
    assert spans(load(tmp_path, "a.vtt", "WEBVTT\n\n" + text)) == [(1.0, 2.0, "Hello. And now")]
