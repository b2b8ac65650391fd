"""Records a film as a browser's MediaRecorder does: WebM without an end, in pieces of 0.1 s."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av

SLICE = 0.1
"""Seconds of one piece."""


class _Pieces(io.RawIOBase):
    """What is written and cannot be sought in, as a connection."""

    def __init__(self) -> None:
        self.written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        self.written += data
        return len(data)

    def take(self) -> bytes:
        taken, self.written = bytes(self.written), bytearray()
        return taken


def record(film: Path, silence: float = 0.0) -> list[tuple[float, bytes]]:
    """A film as VP8 and Opus: when each piece is complete, in seconds, and the piece.

    Args:
        film: with sound and pictures.
        silence: seconds of silence that follow.
    """
    sink = _Pieces()
    events = []
    with av.open(str(film)) as source:
        rate = source.streams.video[0].average_rate or Fraction(25)
        size = source.streams.video[0].width, source.streams.video[0].height
        resampler = av.AudioResampler("flt", "mono", 48000)
        seconds = 0.0
        for frame in source.decode():
            if isinstance(frame, av.VideoFrame):
                events.append((frame.time, frame))
                continue
            for part in resampler.resample(frame):
                events.append((seconds, part))
                seconds += part.samples / 48000
    last = next(frame for _, frame in reversed(events) if isinstance(frame, av.VideoFrame))
    for number in range(round(silence * rate)):
        still = av.VideoFrame.from_ndarray(last.to_ndarray(format="rgb24"), format="rgb24")
        events.append((seconds + number / float(rate), still))
    for _ in range(round(silence * 50)):
        part = av.AudioFrame("flt", "mono", 960)
        part.planes[0].update(bytes(part.planes[0].buffer_size))
        part.sample_rate = 48000
        events.append((seconds, part))
        seconds += 0.02
    pieces, sent = [], 0.0
    options = {"live": "1", "cluster_time_limit": "100", "flush_packets": "1"}
    with av.open(sink, "w", format="webm", options=options) as container:
        pictures = container.add_stream("libvpx", rate=rate, options={"deadline": "realtime"})
        pictures.width, pictures.height, pictures.pix_fmt = *size, "yuv420p"
        sound = container.add_stream("libopus", rate=48000, layout="mono")
        position = 0
        for time, frame in sorted(events, key=lambda event: event[0]):
            if isinstance(frame, av.VideoFrame):
                frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
                frame.pict_type = 0
                packets = pictures.encode(frame)
            else:
                frame.pts, frame.time_base = position, Fraction(1, 48000)
                position += frame.samples
                packets = sound.encode(frame)
            container.mux(packets)
            if time - sent >= SLICE:
                sent = time
                pieces.append((time, sink.take()))
        container.mux([*pictures.encode(None), *sound.encode(None)])
    pieces.append((seconds, sink.take()))
    return [(time, piece) for time, piece in pieces if piece]
