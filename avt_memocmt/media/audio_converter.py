"""Decoded sound of any layout and rate into mono 16 kHz chunks on the media clock."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.filter import Graph

from avt_memocmt.media.types import SAMPLE_RATE, AudioChunk

TIMESTAMP_JITTER = 0.05
"""Seconds by which a timestamp may miss the running sample count (Matroska rounds to 1 ms)."""

MAX_GAP = 60.0
"""Seconds; a longer jump forward is taken for a damaged timestamp, not for missing sound."""


class AudioConverter:
    """Mixes decoded sound to mono, resamples it and places it on the media clock.

    Chunks never overlap and never run backwards. Missing sound in the middle, or a late start,
    shows as a jump of `AudioChunk.start`. Jitter and timestamps that run backwards are ignored: the
    next chunk follows the last one.

    Args:
        origin: the timestamp, in seconds, at which the media starts.
    """

    def __init__(self, origin: float = 0.0) -> None:
        self._origin = origin
        self._graph: Graph | None = None
        self._setup: tuple[str, str, int] | None = None
        self._start = 0.0  # seconds, start of the current stretch without holes
        self._count = 0  # samples since then

    def push(self, frame: AudioFrame) -> Iterator[AudioChunk]:
        """Convert one decoded frame; a change of layout, rate or format on the way is followed."""
        setup = (frame.format.name, frame.layout.name, frame.sample_rate)
        if setup != self._setup:
            yield from self.flush()
            self._graph = _conversion_graph(frame)
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
            yield self._place(frame)

    def _place(self, frame: AudioFrame) -> AudioChunk:
        if frame.time is not None:
            time = frame.time - self._origin
            if TIMESTAMP_JITTER < time - self._clock <= MAX_GAP:
                self._start, self._count = time, 0
        # A damaged float stream holds NaN and huge values.
        samples = np.nan_to_num(frame.to_ndarray().reshape(-1).astype(np.float32, copy=False))
        chunk = AudioChunk(self._clock, np.clip(samples, -1.0, 1.0))
        self._count += len(samples)
        return chunk

    @property
    def _clock(self) -> float:
        return self._start + self._count / SAMPLE_RATE


def _mono_filter(layout: AudioLayout) -> tuple[str, str]:
    """FFmpeg's filter, and its options, that mixes a layout to mono.

    Stereo becomes the mean of both sides. Other layouts become the stereo mix of ITU-R BS.775
    (centre, which carries the dialogue of film and television, and surrounds at -3 dB, no
    low-frequency channel), then that mean. Six or eight channels without names, as in a plain WAV
    file, are taken for 5.1 and 7.1; the mean of all is taken of other channels without left and
    right.
    """
    names = {channel.name for channel in layout.channels}
    count = len(layout.channels)
    if {"FL", "FR"} <= names or count in (6, 8):
        # swresample's own gains are 3 dB higher and would clip loud stereo.
        return "aresample", f"out_chlayout=mono:rematrix_volume={0.5**0.5!r}"
    return "pan", "mono|c0=" + "+".join(f"{1 / count:.6f}*c{index}" for index in range(count))


def _conversion_graph(frame: AudioFrame) -> Graph:
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
        graph.add(*_mono_filter(frame.layout)),
        graph.add("aresample", str(SAMPLE_RATE)),
        graph.add("aformat", "sample_fmts=flt"),
        graph.add("abuffersink"),
    ]
    for step, following in pairwise(steps):
        step.link_to(following)
    graph.configure()
    return graph
