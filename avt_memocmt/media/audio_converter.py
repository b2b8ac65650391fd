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

_MINUS_3_DB = 2**-0.5
# Left and right average to one channel; the centre and the surrounds enter both sides at -3 dB
# (ITU-R BS.775); the low-frequency channel is dropped, as that recommendation allows.
_GAINS = {
    "FC": _MINUS_3_DB,
    "BL": 0.5 * _MINUS_3_DB,
    "BR": 0.5 * _MINUS_3_DB,
    "BC": 0.5 * _MINUS_3_DB,
    "SL": 0.5 * _MINUS_3_DB,
    "SR": 0.5 * _MINUS_3_DB,
    "LFE": 0.0,
    "LFE2": 0.0,
}
_USUAL_LAYOUTS = {
    6: ["FL", "FR", "FC", "LFE", "BL", "BR"],
    8: ["FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"],
}


class AudioConverter:
    """Mixes down, resamples and places decoded sound on the media clock.

    Chunks never overlap and never run backwards. A hole in the timestamps, or a late first one,
    shows as a jump of `AudioChunk.start`; jitter and timestamps that run backwards are ignored:
    the sound goes on where it was.

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
        """The few samples that the resampler still holds."""
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


def channel_gains(layout: AudioLayout) -> list[float]:
    """Gain of every channel in the mix to mono.

    Stereo becomes the mean of both sides. With a centre, which carries the dialogue of film and
    television, the mix is the ITU-R BS.775 stereo down-mix followed by that mean. Six or eight
    channels without names, as in a plain WAV file, are taken for 5.1 and 7.1; other channels
    without a known place are averaged.
    """
    names = [channel.name for channel in layout.channels]
    if len(names) == 1:
        return [1.0]
    if "FL" not in names and len(names) in _USUAL_LAYOUTS:
        names = _USUAL_LAYOUTS[len(names)]
    if not {"FL", "FR"} <= set(names):
        return [1.0 / len(names)] * len(names)
    return [_GAINS.get(name, 0.5) for name in names]


def _conversion_graph(frame: AudioFrame) -> Graph:
    gains = channel_gains(frame.layout)
    mix = "+".join(f"{gain:.6f}*c{index}" for index, gain in enumerate(gains))
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
        graph.add("pan", f"mono|c0={mix}"),
        graph.add("aresample", str(SAMPLE_RATE)),
        graph.add("aformat", "sample_fmts=flt"),
        graph.add("abuffersink"),
    ]
    for step, following in pairwise(steps):
        step.link_to(following)
    graph.configure()
    return graph
