"""Annotations for Praat, as a TextGrid in its long form."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from avt_memocmt.exports.plain_text import one_line
from avt_memocmt.exports.tiers import KINDS, facts, speaker_tiers
from avt_memocmt.files import write_text_atomically
from avt_memocmt.inference.results import MediaPrediction

_Interval = tuple[int, int, str]
"""Start and end in milliseconds, and the text."""


def write(prediction: MediaPrediction, path: Path) -> None:
    """Write the tiers of all speakers; what lies between utterances is an empty interval."""
    tiers = speaker_tiers(prediction)
    ends = [end for tier in tiers for _, end, _ in tier.spans]
    length = max(round(prediction.duration * 1000), *ends, 1)
    grid: list[tuple[str, list[_Interval]]] = []
    for tier in tiers:
        known = [(start, end, dict(facts(spoken))) for start, end, spoken in tier.spans]
        for kind in KINDS:
            said = [(start, end, one_line(found[kind] or "")) for start, end, found in known]
            grid.append((f"{kind}@{tier.name}", list(_filled(said, length))))
    if not grid:  # Praat opens no grid without a tier
        grid.append((KINDS[0], [(0, length, "")]))
    write_text_atomically(path, "\n".join(_lines(grid, length)) + "\n")


def _filled(said: list[_Interval], length: int) -> Iterator[_Interval]:
    """Intervals without overlaps, and those between them."""
    reached = 0
    for start, end, text in said:
        if start > reached:
            yield reached, start, ""
        yield start, end, text
        reached = end
    if reached < length:
        yield reached, length, ""


def _lines(grid: list[tuple[str, list[_Interval]]], length: int) -> Iterator[str]:
    yield 'File type = "ooTextFile"'
    yield 'Object class = "TextGrid"'
    yield ""
    yield from _span(0, length)
    yield "tiers? <exists>"
    yield f"size = {len(grid)}"
    yield "item []:"
    for number, (name, intervals) in enumerate(grid, start=1):
        yield f"    item [{number}]:"
        yield '        class = "IntervalTier"'
        yield f"        name = {_quoted(name)}"
        yield from _span(0, length, "        ")
        yield f"        intervals: size = {len(intervals)}"
        for place, (start, end, text) in enumerate(intervals, start=1):
            yield f"        intervals [{place}]:"
            yield from _span(start, end, "            ")
            yield f"            text = {_quoted(text)}"


def _span(start: int, end: int, indent: str = "") -> Iterator[str]:
    """Two times in milliseconds, as lines in seconds."""
    yield f"{indent}xmin = {start / 1000:.3f}"
    yield f"{indent}xmax = {end / 1000:.3f}"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
