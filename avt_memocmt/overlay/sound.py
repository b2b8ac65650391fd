"""The sound of a film beside its new pictures."""

from __future__ import annotations

from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

_COPIED = {"aac", "mp3", "ac3", "eac3", "opus", "flac", "alac"}
"""Codecs that stay as they are: MP4 holds them, and players expect them in it."""


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
        self.is_copied = source.codec_context.name in _COPIED
        if self.is_copied:
            self._stream = container.add_stream_from_template(source)
        else:
            rate = source.codec_context.sample_rate
            layout = "mono" if source.codec_context.layout.nb_channels == 1 else "stereo"
            self._stream = container.add_stream("aac", rate=rate, layout=layout)

    def take(self, packet: Packet[Stream] | None) -> None:
        """Write what a packet holds; None stands for the end.

        Raises:
            av.FFmpegError: the packet is damaged and cannot be decoded.
        """
        if not self.is_copied:
            for frame in self._source.decode(packet):
                if frame.pts is not None:
                    frame.pts -= self._shift
                self._container.mux(self._stream.encode(frame))
            if packet is None:
                self._container.mux(self._stream.encode(None))
        elif packet is not None and packet.dts is not None and packet.pts is not None:
            packet.pts -= self._shift
            packet.dts -= self._shift
            packet.stream = self._stream
            self._container.mux(packet)
