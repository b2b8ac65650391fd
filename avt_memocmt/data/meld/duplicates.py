"""The same utterance twice in MELD, across its splits (a leak) or within one.

Two rows are the same utterance if their spans in the same episode are mostly one span, whatever
words were annotated, or if speakers and words agree over a run of turns, whatever their times.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, groupby, takewhile

from avt_memocmt.data.faults import Fault, FaultKind, clip_fault
from avt_memocmt.data.meld.table import MeldRow
from avt_memocmt.emotions import EMOTIONS

SAME_SPAN = 0.5
"""Least intersection over union of two spans that are one utterance."""

SHARED_FOOTAGE = 0.5
"""Least share of the shorter of two spans that lies within the other for shared footage."""

MIN_SHARED_WORDS = 6
"""Least words in a run of equal turns; fewer may be chance: "Hey!" - "Hey!" is said often."""

_BETWEEN_WORDS = re.compile(r"[\W_]+")

Pair = tuple[MeldRow, MeldRow]


def duplicate_faults(rows: Iterable[MeldRow]) -> list[Fault]:
    """Leaks, duplicates, their conflicting labels, and footage that two utterances share.

    Each side of a pair gets a fault that names the other. Turns of one dialogue are not compared.

    Args:
        rows: of all splits.
    """
    ordered = sorted(rows, key=lambda row: row.key)
    same: dict[Pair, str] = dict.fromkeys(_equal_words(ordered), "same words as")
    shared: dict[Pair, str] = {}
    for pair in _overlapping(ordered):
        first, second = pair
        common = min(first.end, second.end) - max(first.start, second.start)
        union = max(first.end, second.end) - min(first.start, second.start)
        if common >= SAME_SPAN * union:
            same[pair] = f"{'same words, ' if pair in same else ''}{common:.2f} s in common with"
        elif common >= SHARED_FOOTAGE * min(first.duration, second.duration):
            shared[pair] = f"{common:.2f} s in common with"
    details: dict[tuple[FaultKind, MeldRow], list[str]] = {}
    for pair in sorted({*same, *shared}, key=lambda pair: (pair[0].key, pair[1].key)):
        for row, other in (pair, pair[::-1]):
            for kind, detail in _pair_faults(row, other, same.get(pair), shared.get(pair)):
                details.setdefault((kind, row), []).append(detail)
    return [clip_fault(kind, row.key, "; ".join(texts)) for (kind, row), texts in details.items()]


def _pair_faults(
    row: MeldRow, other: MeldRow, same: str | None, shared: str | None
) -> Iterator[tuple[FaultKind, str]]:
    if same is None:
        yield FaultKind.SHARED_FOOTAGE, f"{shared} {other.key}"
        return
    crosses = row.key.split != other.key.split
    yield (FaultKind.LEAK if crosses else FaultKind.DUPLICATE), f"{same} {other.key}"
    if row.emotion != other.emotion:
        labels = f"{EMOTIONS[row.emotion]}, but {EMOTIONS[other.emotion]} in {other.key}"
        yield FaultKind.LABEL_CONFLICT, labels


def _overlapping(rows: Sequence[MeldRow]) -> Iterator[Pair]:
    """Pairs of rows of one episode with a common stretch, not of one dialogue."""
    by_time = sorted(rows, key=lambda row: (row.episode, row.start, row.key))
    for _, episode in groupby(by_time, lambda row: row.episode):
        running: list[MeldRow] = []
        for row in episode:
            running = [earlier for earlier in running if earlier.end > row.start]
            for earlier in running:
                if row.end > row.start and earlier.key[:2] != row.key[:2]:
                    yield (earlier, row) if earlier.key < row.key else (row, earlier)
            running.append(row)


def _equal_words(rows: Sequence[MeldRow]) -> Iterator[Pair]:
    """Pairs of rows in runs of turns with equal speakers and words, not of one dialogue."""
    dialogues = [list(turns) for _, turns in groupby(rows, lambda row: row.key[:2])]
    places: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for number, turns in enumerate(dialogues):
        for position, row in enumerate(turns):
            places.setdefault(_line(row), []).append((number, position))
    for equal in places.values():
        for (one, first), (two, second) in combinations(equal, 2):
            if one != two:
                pairs = zip(dialogues[one][first:], dialogues[two][second:], strict=False)
                run = list(takewhile(lambda pair: _line(pair[0]) == _line(pair[1]), pairs))
                if sum(len(_line(row)[1].split()) for row, _ in run) >= MIN_SHARED_WORDS:
                    yield from run


def _line(row: MeldRow) -> tuple[str, str]:
    """Speaker and words, without case and punctuation."""
    return row.speaker.lower(), _BETWEEN_WORDS.sub(" ", row.text.lower()).strip()
