"""Reads SubRip and WebVTT: the captions of a file, as they are written there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from avt_memocmt.errors import AvtError

_TIME = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})(?:[,.](\d{1,6}))?"
_TIMING = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?$")
# Translating programs put spaces into "00: 00: 01, 000 -> 00: 00: 02, 000".
_ARROW = re.compile(r"-\s?-\s?>|(?<=\d)\s*->\s*(?=\d)")
_SPACES_IN_TIME = re.compile(r"(?<=\d)\s+(?=[:,.]\s*\d)|(?<=\d[:,.])\s+(?=\d)")
_VTT_OTHER_BLOCKS = ("WEBVTT", "NOTE", "STYLE", "REGION")


@dataclass(frozen=True)
class Caption:
    """One caption as it is written.

    Attributes:
        start: seconds.
        end: seconds, not before start.
        text: raw, with its markup, of any number of lines.
    """

    start: float
    end: float
    text: str


@dataclass
class CaptionFile:
    """What a caption file holds.

    Attributes:
        captions: in the order of the file.
        broken: lines, from 1, at which a caption could not be read, each with what is wrong.
    """

    captions: list[Caption] = field(default_factory=list)
    broken: list[tuple[int, str]] = field(default_factory=list)


def is_captions(lines: Sequence[str]) -> bool:
    """Whether lines have the times of SubRip or WebVTT between them, whatever the file's name."""
    return any(_TIMING.match(_tidy(line)) for line in lines)


def read_captions(path: Path, lines: Sequence[str]) -> CaptionFile:
    """Read the captions of SubRip or WebVTT lines; a broken one is left out and noted.

    pysubs2 and webvtt-py were tried instead: pysubs2 takes the times and words of a caption that it
    cannot read for words of the one before and drops who speaks; webvtt-py reads WebVTT alone.

    Raises:
        AvtError: no caption can be read, or fewer than cannot; the message names the line.
    """
    found = CaptionFile()
    webvtt = bool(lines) and lines[0].lstrip("\ufeff").startswith("WEBVTT")
    is_broken = False
    for first, block in _blocks(lines, webvtt):
        if webvtt and block[0].startswith(_VTT_OTHER_BLOCKS):
            continue
        timings = [index for index, line in enumerate(block) if _ARROW.search(line)]
        if timings:
            is_broken = _read_block(first, block, timings, found)
        elif not webvtt:
            is_broken = _continue_caption(first, block, found, is_broken)
    if found.broken and len(found.captions) <= len(found.broken):
        (line, what), others = found.broken[0], len(found.broken) - 1
        more = f" ({others} others are broken too)" if others else ""
        raise AvtError(
            f"line {line} of {path} has {what}{more}; expected 'H:MM:SS,mmm --> H:MM:SS,mmm', then "
            "text."
        )
    return found


def _blocks(lines: Sequence[str], webvtt: bool) -> Iterator[tuple[int, list[str]]]:
    """Runs of lines between blank ones, each with the number of its first line, from 1.

    A line of spaces is text in WebVTT: YouTube's captions have one above their first line.
    """
    block: list[str] = []
    in_caption = False
    for number, line in enumerate([*lines, ""], start=1):
        if line if webvtt and in_caption else line.strip():
            block.append(line)
            in_caption |= bool(_ARROW.search(line))
        elif block:
            yield number - len(block), block
            block, in_caption = [], False


def _read_block(first: int, block: list[str], timings: list[int], found: CaptionFile) -> bool:
    """Add the captions of a block; returns whether its last one is broken."""
    is_broken = False
    for index, following in pairwise([*timings, len(block)]):
        text = block[index + 1 : following]
        if following < len(block) and text and text[-1].strip().isdigit():
            text.pop()  # the number of a next caption that no blank line parts from this one
        times = _times(block[index])
        is_broken = isinstance(times, str)
        if isinstance(times, str):
            found.broken.append((first + index, times))
        else:
            found.captions.append(Caption(*times, "\n".join(text)))
    return is_broken


def _continue_caption(first: int, block: list[str], found: CaptionFile, is_broken: bool) -> bool:
    """Add to the last SubRip caption a text that a blank line cut off from it."""
    is_number = block[0].strip().isdigit()
    if len(block) == 1 and is_number:
        return is_broken
    if is_number or not (found.captions or is_broken):
        found.broken.append((first, "a caption without times"))
        return True
    if not is_broken:
        last = found.captions[-1]
        found.captions[-1] = replace(last, text="\n".join([last.text, *block]))
    return is_broken


def _tidy(line: str) -> str:
    return _SPACES_IN_TIME.sub("", _ARROW.sub(" --> ", line))


def _times(line: str) -> tuple[float, float] | str:
    """Start and end in seconds, or what is wrong with them."""
    match = _TIMING.match(_tidy(line))
    if match is None:
        return "times that cannot be read"
    start, end = (_seconds(*match.group(*range(first, first + 4))) for first in (1, 5))
    return (start, end) if end >= start else "an end before its start"


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str | None) -> float:
    whole = 3600 * int(hours or 0) + 60 * int(minutes) + int(seconds)
    return whole + float(f"0.{fraction or 0}")
