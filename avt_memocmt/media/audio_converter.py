"""Decoded sound of any layout and rate into mono 16 kHz chunks on the media clock."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.filter import Graph

from avt_memocmt.media.mixdown import Mixdown
from avt_memocmt.media.types import SAMPLE_RATE, AudioChunk

TIMESTAMP_JITTER = 0.05
"""Seconds by which a timestamp may miss the running sample count (Matroska rounds to 1 ms)."""

OVERLAP = 0.1
"""Seconds by which a timestamp may run back before the sound that was there already is dropped."""


class AudioConverter:
    """Mixes decoded sound to mono, resamples it and places it on the media clock.

    Chunks never overlap and never run backwards. Missing sound in the middle, or a late start,
    shows as a jump of `AudioChunk.start`. Jitter is ignored: the next chunk follows the last one.

    Args:
        origin: the timestamp, in seconds, at which the media starts.
        scale: see `Mixdown`.
    """

    def __init__(self, origin: float = 0.0, scale: float = 1.0) -> None:
        self._origin = origin
        self._scale = scale
        self._mixdown: Mixdown | None = None
        self._graph: Graph | None = None
        self._setup: tuple[str, str, int] | None = None
        self._start = 0.0  # seconds, start of the current stretch without holes
        self._count = 0  # samples since then

    def push(self, frame: AudioFrame) -> Iterator[AudioChunk]:
        """Convert one decoded frame; a change of layout, rate or format on the way is followed."""
        setup = (frame.format.name, frame.layout.name, frame.sample_rate)
        if setup != self._setup:
            yield from self.flush()
            self._mixdown = Mixdown(frame.layout, self._scale)
            self._graph = _conversion_graph(frame, self._mixdown)
            self._setup = setup
        assert self._graph is not None
        self._graph.push(frame)
        yield from self._pull()

    def flush(self) -> Iterator[AudioChunk]:
        """Yield the few samples that the resampler still holds."""
        if self._graph is not None:
            self._graph.push(None)
            yield from self._pull()
        self._graph = self._setup = None

    def _pull(self) -> Iterator[AudioChunk]:
        assert self._graph is not None
        while True:
            try:
                frame = self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            assert isinstance(frame, AudioFrame)
            if (chunk := self._place(frame)) is not None:
                yield chunk

    def _place(self, frame: AudioFrame) -> AudioChunk | None:
        assert self._mixdown is not None
        samples = self._mixdown.choose(np.asarray(frame.to_ndarray(), np.float32))
        if frame.time is not None:
            ahead = frame.time - self._origin - self._clock
            if ahead > TIMESTAMP_JITTER:
                self._start, self._count = frame.time - self._origin, 0
            elif ahead < -OVERLAP:
                samples = samples[round(-ahead * SAMPLE_RATE) :]
        if not len(samples):
            return None
        chunk = AudioChunk(self._clock, samples)
        self._count += len(samples)
        return chunk

    @property
    def _clock(self) -> float:
        return self._start + self._count / SAMPLE_RATE


def _conversion_graph(frame: AudioFrame, mixdown: Mixdown) -> Graph:
    time_base = frame.time_base or f"1/{frame.sample_rate}"
    graph = Graph()
    steps = [
        graph.add(
            "abuffer",
            sample_rate=str(frame.sample_rate),
            sample_fmt=frame.format.name,
            channel_layout=frame.layout.name,
            time_base=str(time_base),
        ),
        # Float before the mix, or integer formats would clip inside it.
        graph.add("aformat", "sample_fmts=fltp"),
        graph.add("pan", mixdown.filter_options),
        graph.add("aresample", str(SAMPLE_RATE)),
        graph.add("aformat", "sample_fmts=flt"),
        graph.add("abuffersink"),
    ]
    for step, following in pairwise(steps):
        step.link_to(following)
    graph.configure()
    return graph
