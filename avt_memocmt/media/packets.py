"""The packets of the streams that are read, on one clock."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from itertools import chain

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from avt_memocmt.media.address import reason
from avt_memocmt.media.clock import MediaClock, TimedPacket
from avt_memocmt.media.window import can_jump, cut_off, jump, passed_over

_MAX_READ_FAILURES = 50


class PacketReader:
    """Reads the packets of some streams of a container.

    Attributes:
        origin: the earliest timestamp, in seconds, which is 0 on the media's clock; known when the
            first packet was read.
        last_byte: place in the file up to which packets were read.
        lost: why a live source broke off, in a few words; None where it did not.

    Args:
        container: an open source.
        streams: those to read.
        warn: called with the names of warnings.
        is_live: whether it comes over a network, which may break off.
    """

    def __init__(
        self,
        container: InputContainer,
        streams: list[Stream],
        warn: Callable[[str], None],
        is_live: bool = False,
    ) -> None:
        self.origin = 0.0
        self.last_byte = 0
        self.lost: str | None = None
        self._is_live = is_live
        self._container = container
        self._streams = streams
        self._warn = warn

    def packets(self, following: Iterator[Packet[Stream]] | None = None) -> Iterator[TimedPacket]:
        """Yield the packets in the order of the file; None stands for the end of a stream.

        Args:
            following: the packets from where the file stands; None = they are read.
        """
        for _ in range(_MAX_READ_FAILURES):
            try:
                for packet in following or self._container.demux(self._streams):
                    if packet.size:
                        self.last_byte = max(self.last_byte, (packet.pos or 0) + packet.size)
                        yield packet.stream, packet
                break
            except IndexError:
                # PyAV 18 stumbles at the end of a transport stream in which a stream began late.
                break
            except av.FFmpegError as error:
                # Reading may go on behind the damage.
                self._warn("truncated")
                following = None
                if self._is_live:
                    self.lost = reason(error)
                    if not isinstance(error, av.error.InvalidDataError):
                        break
        for stream in self._streams:
            yield stream, None

    def timed(
        self,
        wanted: Collection[Stream],
        stated: float | None,
        start: float = 0.0,
        end: float = math.inf,
    ) -> Iterator[TimedPacket]:
        """The packets that a stretch of the media needs, with timestamps that run on.

        Args:
            wanted: those of the streams that are decoded.
            stated: length of the media by its header, in seconds; None where it states none.
            start: of the stretch, seconds from the start of the media.
            end: of the stretch.
        """
        read = self.packets()
        first = next(read)
        self.origin = self._first_time(first[1])
        packets: Iterator[TimedPacket] = chain([first], read)
        jumped = None
        if can_jump(self._container, start):
            jumped = jump(self._container, self._streams, self.origin + start)
            packets = self.packets(jumped)
        clock = MediaClock(self.origin, stated, self._warn, from_start=jumped is None)
        packets = (item for item in clock.follow(packets) if item[0] in wanted)
        if start:
            packets = passed_over(packets, self.origin + start)
        return cut_off(packets, self.origin + end) if end < math.inf else packets

    def _first_time(self, packet: Packet[Stream] | None) -> float:
        """The earliest timestamp in seconds: the origin of the media's clock.

        FFmpeg finds it while probing, but passes over the first picture of a slow video. Negative
        timestamps of a first packet are an encoder's run-in, which the decoder drops.
        """
        start = self._container.start_time
        times = [] if start is None else [start / av.time_base]
        if packet is not None and packet.pts is not None:
            times.append(max(0.0, float(packet.pts * packet.time_base)))
        return min(times, default=0.0)
