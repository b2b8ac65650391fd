"""Captions made for the screen, not for the ear: lines that roll up, stay, and repeat."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise

from avt_memocmt.preprocessing.captions import Caption

_CONTIGUOUS = 0.5
"""Seconds up to which a caption follows the one before without a break."""
_LAST_WORD = 1.0
"""Seconds that a line's last word takes, at most, where the file says when each word begins."""
_PAUSE = 1.7
"""Seconds from word to word beyond which a line is parted, the time to say the first included."""

_WORD_TIME = re.compile(r"<(\d+):(\d\d):(\d\d\.\d+)>")
_MARKUP = re.compile(r"</?c(?:\.[^<>]*)?>|<\d[\d:.]*>")


@dataclass(frozen=True)
class _Word:
    text: str
    time: float


def as_spoken(captions: Sequence[Caption]) -> list[Caption]:
    """Give each caption the words that begin with it, and no others.

    YouTube's and other live captions roll: a line is shown while it is spoken, once more alone, and
    a third time above the next one. Where a file does so throughout, only what is new in a caption
    stays; word times of WebVTT cut a line at a pause and end it with its last word. Where most
    captions of a file stay on the screen under the next one, each ends where the next begins. The
    same caption twice, with the same times, counts once in any file.

    Args:
        captions: of one file, in any order.

    Returns:
        Captions in order of their start, none without words that rolled away.
    """
    ordered = sorted(dict.fromkeys(captions), key=lambda caption: (caption.start, caption.end))
    shown = [[_plain(line) for line in caption.text.split("\n")] for caption in ordered]
    known = [0, *(_repeated(a, b) for a, b in pairwise(zip(ordered, shown, strict=True)))]
    has_times = any(_WORD_TIME.search(caption.text) for caption in ordered)
    if not has_times and not _is_rolling(ordered, shown, known):
        return _without_overlap(ordered)
    spoken: list[Caption] = []
    for caption, count in zip(ordered, known[: len(ordered)], strict=True):
        spoken += _pieces(caption, count)
    return _without_overlap(spoken)


def _plain(line: str) -> list[str]:
    return _MARKUP.sub("", line).split()


def _repeated(before: tuple[Caption, list[list[str]]], now: tuple[Caption, list[list[str]]]) -> int:
    """How many words at the start of a caption are the last lines of the one before it."""
    if now[0].start - before[0].end > _CONTIGUOUS:
        return 0
    words = list(chain.from_iterable(now[1]))
    for first in range(len(before[1])):
        last = list(chain.from_iterable(before[1][first:]))
        if last and words[: len(last)] == last:
            return len(last)
    return 0


def _is_rolling(
    captions: Sequence[Caption], shown: Sequence[list[list[str]]], known: Sequence[int]
) -> bool:
    """Whether many captions show words of the one before, and new ones too.

    Somebody who says the same thing again shows no new words beside the old ones.
    """
    grown = sum(
        0 < count < sum(map(len, lines)) for count, lines in zip(known, shown, strict=False)
    )
    follow = sum(b.start - a.end <= _CONTIGUOUS for a, b in pairwise(captions))
    return grown >= 2 and 4 * grown >= follow


def _pieces(caption: Caption, known: int) -> Iterator[Caption]:
    """The words of a caption that are new in it, parted at pauses."""
    words = list(_words(caption))[known:]
    if not words:
        return
    if 2 * len({word.time for word in words}) <= len(words):  # not every word has its time
        text = " ".join(word.text for word in words) if known else caption.text
        yield replace(caption, text=text)
        return
    runs = [[words[0]]]
    for before, word in pairwise(words):
        if word.time - before.time > _PAUSE:
            runs.append([])
        runs[-1].append(word)
    for run in runs:
        end = min(caption.end, run[-1].time + _LAST_WORD)
        text = " ".join(word.text for word in run)
        yield Caption(run[0].time, max(run[0].time, end), text)


def _words(caption: Caption) -> Iterator[_Word]:
    """The words of a caption, each with the time at which it begins."""
    first, *rest = _WORD_TIME.split(caption.text)
    time = caption.start
    yield from (_Word(word, time) for word in _plain(first))
    for hours, minutes, seconds, text in zip(*(rest[n::4] for n in range(4)), strict=True):
        at = 3600 * int(hours) + 60 * int(minutes) + float(seconds)
        time = min(max(time, at), caption.end)
        yield from (_Word(word, time) for word in _plain(text))


def _without_overlap(captions: list[Caption]) -> list[Caption]:
    """End each caption where the next begins, if most of the file stays on the screen that long."""
    following = [b.start < a.end for a, b in pairwise(captions)]
    if len(following) < 2 or 2 * sum(following) <= len(following):
        return captions
    ends = [min(a.end, b.start) if b.start > a.start else a.end for a, b in pairwise(captions)]
    return [
        *(replace(caption, end=end) for caption, end in zip(captions, ends, strict=False)),
        captions[-1],
    ]
