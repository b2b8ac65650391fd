"""Transcripts that a user gives: .srt and .vtt captions, .txt lines, or the text itself."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from avt_memocmt.errors import AvtError
from avt_memocmt.preprocessing.text_preprocess import clean_text

MAX_BYTES = 10_000_000
"""Largest transcript file that is read; a day of captions stays well below it."""

SUFFIXES = (".srt", ".vtt", ".txt")

_TIME = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})(?:[,.](\d{1,6}))?"
_TIMING = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?$")
_LINE_END = re.compile(r"\r\n|\r|\n")
_VTT_OTHER_BLOCKS = ("WEBVTT", "NOTE", "STYLE", "REGION")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]+)>")
_DASH = re.compile(r"^\s*[-\u2013\u2014]+\s*(?=\S)")
_CAPITAL_NAME = re.compile(r"^([A-Z][A-Z0-9 .'&-]{0,30}[A-Z0-9.])\s*:\s+(?=\S)")
_NAME = re.compile(r"^((?:[A-Z][\w.'-]*)(?: (?:[A-Z][\w.'-]*|and|&|\d+)){0,3})\s*:\s+(?=\S)")
_SENTENCE_END = re.compile(r"[.!?][\"')]*$")
_CONTINUATION = re.compile(r"^(?:\.\.\.|[a-z])")


@dataclass(frozen=True)
class Cue:
    """One caption or line of a transcript.

    Attributes:
        text: cleaned, never empty.
        start: seconds from the start of the media; None where the source has no times.
        end: seconds from the start of the media; not before start, but equal to it in some real
            captions.
        speaker: name in the source, or None.
    """

    text: str
    start: float | None = None
    end: float | None = None
    speaker: str | None = None


def load_transcript(argument: str) -> list[Cue]:
    """Return the cues of a transcript file, or of a text given in place of a file.

    Captions come back in order of their start. A line of a .txt file is one cue without times, and
    so is a text. A speaker is a WebVTT voice tag, a name in capitals before a colon ("ROSS: Hi"),
    or any capitalised name before a colon where at least half of the cues carry one. Cues without
    words (sound captions) are dropped.

    Args:
        argument: path of an existing .srt, .vtt or .txt file (UTF-8, UTF-16 or cp1252), or text.

    Raises:
        AvtError: a path with such a suffix that does not exist, a file of another kind or above
            `MAX_BYTES`, or a broken one; the message names the line.
    """
    is_file = os.path.isfile(argument)
    suffix = os.path.splitext(argument.strip())[1].lower()
    if not is_file and (suffix not in SUFFIXES or "\n" in argument.strip()):
        return _finish([Cue(argument)])
    if not is_file:
        raise AvtError(f"the transcript {argument} does not exist; check the path.")
    if suffix not in SUFFIXES:
        raise AvtError(f"the transcript {argument} is no {', '.join(SUFFIXES)} file; convert it.")
    path = Path(argument)
    lines = _LINE_END.split(_read(path))
    if suffix == ".txt":
        cues = [Cue(line) for line in lines if line.strip()]
    else:
        cues = _captions(path, lines)
    if not cues:
        raise AvtError(f"the transcript {path} is empty; give a file with text.")
    return _finish(cues)


def merge_cues(cues: list[Cue], max_gap: float = 0.7, max_seconds: float = 12.0) -> list[Cue]:
    """Join captions into utterances; captions break sentences so that they fit the screen.

    A timed cue continues the one before it unless that one ended its sentence, the speaker
    differs, the pause between them exceeds `max_gap` seconds, or the whole would exceed
    `max_seconds`. Cues without times stay as they are.
    """
    merged: list[Cue] = []
    for cue in cues:
        if merged and _continues(merged[-1], cue, max_gap, max_seconds):
            before = merged.pop()
            end = max(before.end or 0.0, cue.end or 0.0)
            cue = replace(before, text=f"{before.text} {cue.text}", end=end)
        merged.append(cue)
    return merged


def _continues(before: Cue, cue: Cue, max_gap: float, max_seconds: float) -> bool:
    if before.start is None or before.end is None or cue.start is None or cue.end is None:
        return False
    if before.speaker != cue.speaker or cue.start - before.end > max_gap:
        return False
    if max(before.end, cue.end) - before.start > max_seconds:
        return False
    trails_on = before.text.endswith("...") and bool(_CONTINUATION.match(cue.text))
    return trails_on or not _SENTENCE_END.search(before.text)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise AvtError(f"cannot read the transcript {path}: {error.strerror}.") from error
    if len(content) > MAX_BYTES:
        raise AvtError(f"the transcript {path} is above {MAX_BYTES // 10**6} MB; split it.")
    try:
        if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return content.decode("utf-16")
        if b"\0" in content:
            # UTF-16 without a mark: the zero bytes of Latin text tell the byte order.
            return content.decode("utf-16-le" if content[1:2] == b"\0" else "utf-16-be")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if b"\0" in content:
            raise AvtError(f"the transcript {path} is not a text file.") from error
        # cp1252 as Latin-1: `clean_text` turns the C1 characters into what was meant.
        return content.decode("latin-1")


def _captions(path: Path, lines: list[str]) -> list[Cue]:
    """Cues of SubRip or WebVTT lines, with raw text in one or more lines.

    pysubs2 and webvtt-py pass over a cue whose times they cannot read; here that is an error with
    its line, for a transcript without some of its words would be aligned wrongly.
    """
    webvtt = path.suffix.lower() == ".vtt"
    cues: list[Cue] = []
    for first, block in _blocks(lines):
        if webvtt and block[0].startswith(_VTT_OTHER_BLOCKS):
            continue
        timings = [index for index, line in enumerate(block) if "-->" in line]
        if not timings and not webvtt:
            _continue_caption(path, first, block, cues)
        for index, following in pairwise([*timings, len(block)]):
            start, end = _times(path, first + index, block[index])
            text = block[index + 1 : following]
            if following < len(block) and text and text[-1].strip().isdigit():
                text.pop()  # the number of a next caption that no blank line parts from this one
            cues += _voices("\n".join(text), start, end)
    return cues


def _blocks(lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Runs of lines between blank ones, each with the number of its first line, from 1."""
    block: list[str] = []
    for number, line in enumerate([*lines, ""], start=1):
        if line.strip():
            block.append(line)
        elif block:
            yield number - len(block), block
            block = []


def _continue_caption(path: Path, first: int, block: list[str], cues: list[Cue]) -> None:
    """Add to the last SubRip caption a text that a blank line cut off from it."""
    if len(block) == 1 and block[0].strip().isdigit():
        return
    if not cues or block[0].strip().isdigit():
        raise _broken(path, first, "a caption without times")
    cues[-1] = replace(cues[-1], text="\n".join([cues[-1].text, *block]))


def _times(path: Path, number: int, line: str) -> tuple[float, float]:
    match = _TIMING.match(line)
    if match is None:
        raise _broken(path, number, "times that cannot be read")
    start, end = (_seconds(*match.group(*range(first, first + 4))) for first in (1, 5))
    if end < start:
        raise _broken(path, number, "an end before its start")
    return start, end


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str | None) -> float:
    whole = 3600 * int(hours or 0) + 60 * int(minutes) + int(seconds)
    return whole + float(f"0.{fraction or 0}")


def _broken(path: Path, number: int, what: str) -> AvtError:
    return AvtError(
        f"line {number} of {path} has {what}; expected 'H:MM:SS,mmm --> H:MM:SS,mmm', then text."
    )


def _voices(text: str, start: float, end: float) -> Iterator[Cue]:
    """A cue for each WebVTT voice in it; they share the times."""
    before, *voices = _VOICE.split(text)
    if before.strip() or not voices:
        yield Cue(before, start, end)
    for name, said in zip(voices[::2], voices[1::2], strict=True):
        yield Cue(said, start, end, clean_text(name) or None)


def _finish(cues: list[Cue]) -> list[Cue]:
    cleaned = []
    for cue in cues:
        lines = (_DASH.sub("", line) for line in cue.text.split("\n"))
        cleaned.append(replace(cue, text=clean_text("\n".join(lines))))
    cleaned = [cue for cue in cleaned if cue.text]
    named = sum(bool(_NAME.match(cue.text)) for cue in cleaned)
    pattern = _NAME if named > 1 and 2 * named >= len(cleaned) else _CAPITAL_NAME
    cleaned = [_take_speaker(cue, pattern) for cue in cleaned]
    return sorted(cleaned, key=lambda cue: (cue.start or 0.0, cue.end or 0.0))


def _take_speaker(cue: Cue, pattern: re.Pattern[str]) -> Cue:
    match = pattern.match(cue.text)
    if cue.speaker or match is None:
        return cue
    return replace(cue, text=cue.text[match.end() :], speaker=match[1])
