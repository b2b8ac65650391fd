"""Cuts sound that arrives in chunks into overlapping windows, holding one window at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.media.types import SAMPLE_RATE, AudioChunk
from avt_memocmt.preprocessing.audio_preprocess_vad import MAX_FILL
from avt_memocmt.speakers.segmentation import WINDOW

HOP = WINDOW / 2
"""Seconds from one window to the next."""
_LENGTH, _STEP = round(WINDOW * SAMPLE_RATE), round(HOP * SAMPLE_RATE)


@dataclass(frozen=True)
class Window:
    """Up to `WINDOW` seconds of sound, of which a part is this window's to decide on.

    Attributes:
        start: seconds from the start of the media.
        samples: float32 [n], mono, 16 kHz.
        zone: seconds from the start of the window between which it decides. The zones of all
            windows join without a hole or an overlap, away from the edges of their windows.
    """

    start: float
    samples: NDArray[np.float32]
    zone: tuple[float, float]


def windows(chunks: Iterable[AudioChunk]) -> Iterator[Window]:
    """The windows of a recording; chunks come in the order of time and may leave holes.

    A hole of up to `MAX_FILL` seconds is silence; after a longer one a new window begins. What a
    chunk repeats of the sound before it is left out.
    """
    for start, blocks in _sections(chunks):
        yield from _windows_of(start, blocks)


def _sections(
    chunks: Iterable[AudioChunk],
) -> Iterator[tuple[float, Iterator[NDArray[np.float32]]]]:
    """Stretches without a long hole, each as its start and the sound in pieces."""
    source = iter(chunks)
    waiting = next(source, None)

    def pieces() -> Iterator[NDArray[np.float32]]:
        nonlocal waiting
        assert waiting is not None
        start, count = waiting.start, 0
        while waiting is not None:
            gap = round((waiting.start - start) * SAMPLE_RATE) - count
            if gap > MAX_FILL * SAMPLE_RATE:
                return
            if gap > 0:
                yield np.zeros(gap, np.float32)
            samples = waiting.samples[max(0, -gap) :]
            yield samples
            count += max(gap, 0) + len(samples)
            waiting = next(source, None)

    while waiting is not None:
        yield waiting.start, pieces()


def _windows_of(start: float, blocks: Iterable[NDArray[np.float32]]) -> Iterator[Window]:
    waiting = [np.zeros(0, np.float32)]  # joined once a window is full: blocks are short
    held = first = decided = 0  # samples; the latter from the start of the section
    for block in blocks:
        waiting.append(block)
        held += len(block)
        # One sample more than a window shows that it is not the last.
        while held > _LENGTH:
            sound = np.concatenate(waiting)
            until = first + (_LENGTH + _STEP) // 2
            yield _window(start, first, sound[:_LENGTH], decided, until)
            decided, first = until, first + _STEP
            waiting, held = [sound[_STEP:]], held - _STEP
    if first + held > decided:
        yield _window(start, first, np.concatenate(waiting), decided, first + held)


def _window(
    start: float, first: int, samples: NDArray[np.float32], decided: int, until: int
) -> Window:
    zone = (decided - first) / SAMPLE_RATE, (until - first) / SAMPLE_RATE
    return Window(start + first / SAMPLE_RATE, samples, zone)
