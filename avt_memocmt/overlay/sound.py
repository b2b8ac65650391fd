"""The sound of a film beside its new pictures."""

from __future__ import annotations

from contextlib import suppress

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

_COPIED = {"aac", "mp3", "ac3", "eac3", "opus", "flac", "alac"}
"""Codecs that stay as they are: MP4 holds them, and players expect them in it."""
_RATES = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000}
"""Samples a second that AAC has."""


class SoundTrack:
    """Copies the packets of a sound stream, or encodes them as AAC where MP4 does not hold them.

    Args:
        container: an MP4 to be written.
        source: the sound stream.
        origin: timestamp of the start of the media, seconds, which becomes 0.
    """

    def __init__(self, container: OutputContainer, source: AudioStream, origin: float) -> None:
        self._container, self._source = container, source
        unit = source.time_base
        self._shift = round(origin / unit) if unit else 0
        self._last = -(1 << 62)
        self.is_copied = source.codec_context.name in _COPIED
        if self.is_copied:
            self._stream = container.add_stream_from_template(source)
            return
        rate = source.codec_context.sample_rate
        self._rate = rate if rate in _RATES else 48_000
        self._layout = "mono" if source.codec_context.layout.nb_channels == 1 else "stereo"
        self._stream = container.add_stream("aac", rate=self._rate, layout=self._layout)
        self._heard: tuple[str, str, int] | None = None

    def take(self, packet: Packet[Stream] | None) -> None:
        """Write what a packet holds; None stands for the end.

        Raises:
            av.FFmpegError: it cannot be written.
        """
        if self.is_copied:
            self._copy(packet)
            return
        frames: list[AudioFrame] = []
        with suppress(av.FFmpegError):  # damage is passed over, as in predictions
            frames = self._source.decode(packet)
        for frame in frames:
            if frame.pts is not None:
                frame.pts -= self._shift
            self._encode(frame)
        if packet is None:
            self._container.mux(self._stream.encode(None))

    def _copy(self, packet: Packet[Stream] | None) -> None:
        if packet is None or packet.dts is None or packet.pts is None or packet.dts <= self._last:
            return
        self._last = packet.dts
        packet.pts -= self._shift
        packet.dts -= self._shift
        packet.stream = self._stream
        with suppress(av.error.InvalidDataError):
            self._container.mux(packet)

    def _encode(self, frame: AudioFrame) -> None:
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if kind != self._heard:  # a broadcast may change it in the middle
            self._heard = kind
            self._resampler = AudioResampler("fltp", self._layout, self._rate)
        for part in self._resampler.resample(frame):
            self._container.mux(self._stream.encode(part))
