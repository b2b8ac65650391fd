"""Turns inside each window of a recording, each with its voice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avt_memocmt.media.types import SAMPLE_RATE, AudioChunk
from avt_memocmt.pretrained import packaged_path
from avt_memocmt.speakers.embedding import ENOUGH, SpeakerEmbedder, in_batches
from avt_memocmt.speakers.segmentation import (
    FRAME_LENGTH,
    FRAME_STEP,
    SPEAKERS,
    load_segmentation,
)
from avt_memocmt.speakers.windows import Window, windows

Span = tuple[float, float]

SPEECH, OVERLAP = 0.75, 0.4
"""Probabilities above which somebody is heard, and above which two are.

The first is high so that pauses between two speakers who are alike are found: see docs/speakers.md.
"""
PAUSE = 0.3
"""Seconds of silence in one local speaker's speech at which a new voice begins.

What one window takes for one speaker may be two who are alike, but they rarely change without a
pause.
"""
CLEAN = 0.5
"""Seconds of speech without overlap above which overlapped speech is left out of an embedding."""
LEAST = 0.2
"""Seconds of speech below which no embedding is made."""
AT_ONCE, WINDOWS_AT_ONCE = 8, 4
"""Voices that are embedded together, and windows that are heard together."""
_SHORTEST_SOUND = 1.0
"""Seconds; shorter sound is followed by silence up to here."""


@dataclass(frozen=True)
class Voice:
    """What one speaker says without a pause in the zone of one window.

    Attributes:
        window: number of the window.
        local: number of the speaker in this window; another number is somebody else.
        spans: stretches of speech, seconds from the start of the media.
        embedding: float32 [192], or None where too little is heard for one.
        seconds: speech that the embedding is made from.
    """

    window: int
    local: int
    spans: list[Span]
    embedding: NDArray[np.float32] | None
    seconds: float


class VoiceFinder:
    """Finds the turns inside each window of a recording and embeds their voices.

    Raises:
        AvtError: packaged weights are missing or altered.
    """

    def __init__(self) -> None:
        path = packaged_path("speaker-segmentation")
        file = torch.load(path, map_location="cpu", weights_only=True)
        self._network = load_segmentation(file)
        self._embedder = SpeakerEmbedder()

    def find(self, chunks: Iterable[AudioChunk]) -> Iterator[Voice]:
        """The voices of a recording, window by window."""
        heard = self._unembedded(enumerate(windows(chunks)))
        # Together they take half the time on two processors: a single one leaves one of them idle.
        while some := list(islice(heard, AT_ONCE)):
            yield from self._embedded(some)

    def _embedded(self, heard: Sequence[tuple[Voice, NDArray[np.float32]]]) -> Iterator[Voice]:
        """Voices with the embedding of what is heard of each, where that is enough."""
        enough = [sound for voice, sound in heard if voice.seconds >= LEAST]
        embeddings = iter(self._embedder.embed_all(enough))
        for voice, _ in heard:
            is_enough = voice.seconds >= LEAST
            yield replace(voice, embedding=next(embeddings)) if is_enough else voice

    def _unembedded(
        self, numbered: Iterator[tuple[int, Window]]
    ) -> Iterator[tuple[Voice, NDArray[np.float32]]]:
        """The voices of all windows, not embedded yet, each with what is heard of it."""
        while some := list(islice(numbered, WINDOWS_AT_ONCE)):
            active = self.activity([window.samples for _, window in some])
            for (number, window), heard in zip(some, active, strict=True):
                yield from _of_window(number, window, heard)

    def activity(self, sounds: Sequence[NDArray[np.float32]]) -> list[NDArray[np.bool_]]:
        """Whether each of three speakers is heard in each frame of some sounds, [frames, 3].

        Args:
            sounds: float32 [n] each, mono, 16 kHz, at most `WINDOW` seconds.
        """
        shortest = round(_SHORTEST_SOUND * SAMPLE_RATE)
        padded = [np.pad(sound, (0, max(0, shortest - len(sound)))) for sound in sounds]
        return [self._active(logits) for logits in in_batches(self._network.logits, padded)]

    def _active(self, logits: Tensor) -> NDArray[np.bool_]:
        """[frames, 7] over `SETS` -> [frames, 3]."""
        sets = logits.softmax(-1)
        speakers = (sets @ self._network.members).numpy()
        order = np.argsort(-speakers, axis=1, kind="stable")
        heard = np.zeros(speakers.shape, dtype=bool)
        frames = np.arange(len(speakers))
        heard[frames, order[:, 0]] = sets[:, 0].numpy() < 1 - SPEECH
        heard[frames, order[:, 1]] = sets[:, SPEAKERS + 1 :].sum(-1).numpy() > OVERLAP
        return heard


def _of_window(
    number: int, window: Window, heard: NDArray[np.bool_]
) -> Iterator[tuple[Voice, NDArray[np.float32]]]:
    """The voices of a window, of which `heard` says who is active, with what is heard of each."""
    edges = _frame_edges(len(heard), len(window.samples))
    alone = heard.sum(axis=1) == 1
    for local in range(SPEAKERS):
        clean = _spans(heard[:, local] & alone, edges)
        for turn in _parted(_spans(heard[:, local], edges)):
            inside = _cut(turn, window.zone)
            if inside:
                sound, seconds = _heard(window, turn, clean)
                spans = [(window.start + start, window.start + end) for start, end in inside]
                yield Voice(number, local, spans, None, seconds), sound


def _heard(
    window: Window, turn: list[Span], clean: list[Span]
) -> tuple[NDArray[np.float32], float]:
    """What tells the voice of a turn, float32 [n], and the seconds of speech in it."""
    alone = [part for span in turn for part in _cut(clean, span)]
    chosen = _near(alone if _total(alone) >= CLEAN else turn, window.zone)
    sound = [
        window.samples[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
        for start, end in chosen
    ]
    return np.concatenate([np.zeros(0, np.float32), *sound]), _total(chosen)


def _frame_edges(frames: int, samples: int) -> NDArray[np.float64]:
    """Times at which the frames of a window begin and the last one ends, seconds [frames + 1].

    A frame speaks for `FRAME_STEP` samples in the middle of those that it is made from; the first
    and the last one also for what lies before and after.
    """
    starts = np.arange(frames) * FRAME_STEP + (FRAME_LENGTH - FRAME_STEP) // 2
    starts[:1] = 0
    return np.minimum(np.append(starts, samples), samples) / SAMPLE_RATE


def _spans(active: NDArray[np.bool_], edges: NDArray[np.float64]) -> list[Span]:
    """Stretches of frames that are set; frame i lies between edges i and i + 1, seconds."""
    changes = np.flatnonzero(np.diff(np.concatenate(([False], active, [False])).astype(np.int8)))
    pairs = zip(edges[changes[::2]], edges[changes[1::2]], strict=True)
    return [(float(start), float(end)) for start, end in pairs if end > start]


def _parted(spans: list[Span]) -> Iterator[list[Span]]:
    """Groups of spans without a `PAUSE` inside."""
    group: list[Span] = []
    for span in spans:
        if group and span[0] - group[-1][1] >= PAUSE:
            yield group
            group = []
        group.append(span)
    if group:
        yield group


def _near(spans: list[Span], zone: Span) -> list[Span]:
    """`ENOUGH` seconds of spans: inside a zone and, if these are fewer, what is nearest to it."""
    inside = _cut(spans, zone)
    missing = ENOUGH - _total(inside)
    if missing <= 0:
        return _shortened(inside)
    # The spans are one turn with short pauses, so that widening the zone by what is missing does.
    return _cut(spans, (zone[0] - missing, zone[1] + missing))


def _shortened(spans: list[Span]) -> list[Span]:
    """The first `ENOUGH` seconds of spans that are longer in all."""
    left, kept = ENOUGH, []
    for start, end in spans:
        kept.append((start, min(end, start + left)))
        left -= kept[-1][1] - start
        if left <= 0:
            break
    return kept


def _total(spans: list[Span]) -> float:
    return sum(end - start for start, end in spans)


def _cut(spans: list[Span], zone: Span) -> list[Span]:
    """The parts of spans inside a zone."""
    return [
        (max(start, zone[0]), min(end, zone[1]))
        for start, end in spans
        if start < zone[1] and end > zone[0]
    ]
