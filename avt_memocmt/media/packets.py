"""The packets of the streams that are read, on one clock."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from itertools import chain
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from avt_memocmt.media.address import reason
from avt_memocmt.media.clock import MediaClock, TimedPacket
from avt_memocmt.media.container import open_container
from avt_memocmt.media.window import MOST_HELD, can_jump, cut_off, jump, pass_over

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
        tape: the packets of the same file, for a stretch that cannot be jumped to.
    """

    def __init__(
        self,
        container: InputContainer,
        streams: list[Stream],
        warn: Callable[[str], None],
        is_live: bool = False,
        tape: PacketTape | None = None,
    ) -> None:
        self.origin = 0.0
        self.last_byte = 0
        self.lost: str | None = None
        self._is_live = is_live
        self._tape = tape
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
        if self._tape is not None and jumped is None:
            packets = self._from_tape(self._tape, wanted, stated, start)
        else:
            clock = MediaClock(self.origin, stated, self._warn, from_start=jumped is None)
            packets = (item for item in clock.follow(packets) if item[0] in wanted)
            if start:
                packets = chain(pass_over(packets, self.origin + start), packets)
        return cut_off(packets, self.origin + end) if end < math.inf else packets

    def _from_tape(
        self, tape: PacketTape, wanted: Collection[Stream], stated: float | None, start: float
    ) -> Iterator[TimedPacket]:
        """The packets of a stretch, with what was noticed on the way to it."""
        own = {stream.index: stream for stream in wanted}
        tape.open([stream.index for stream in self._streams], own, stated)
        for stream, packet in tape.window(self.origin + start):
            for name in tape.warnings:
                self._warn(name)
            self.last_byte = tape.last_byte
            yield own[stream.index], packet

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


class PacketTape:
    """The packets of one file, read once for stretches of it that follow one another.

    To pass over what lies before a stretch of a file without an index takes as long as to read up
    to there. Decoders are not shared, because what they give depends on what they decoded before.

    Attributes:
        warnings: of what was read so far.
        is_spent: whether a stretch held so much data that the next one needs another tape.

    Args:
        path: of the file.
    """

    def __init__(self, path: str | Path) -> None:
        self.warnings: list[str] = []
        self.is_spent = False
        self._path = Path(path)
        self._container: InputContainer | None = None
        self._recent: list[TimedPacket] = []  # what the next stretch may need
        self._size = 0

    def open(self, streams: Collection[int], wanted: Collection[int], stated: float | None) -> None:
        """Begin to read at the start of the file, unless it was begun before.

        Args:
            streams: indices of those to read.
            wanted: indices of those that are decoded.
            stated: see `PacketReader.timed`.

        Raises:
            AvtError: the file cannot be opened.
        """
        if self._container is not None:
            return
        self._container = open_container(self._path)
        own = self._container.streams
        self._reader = PacketReader(self._container, [own[i] for i in streams], self._warn)
        self._following = self._reader.timed([own[i] for i in wanted], stated)

    def close(self) -> None:
        """Release the file."""
        if self._container is not None:
            self._container.close()

    @property
    def last_byte(self) -> int:
        """Place in the file up to which packets were read."""
        return self._reader.last_byte

    def window(self, start: float) -> Iterator[TimedPacket]:
        """Yield the packets that everything from a time on needs, as reading from the start does.

        Args:
            start: a timestamp in seconds, not before that of the last call.
        """
        before = iter(self._recent)
        needed = pass_over(chain(before, self._following), start)
        self._recent, self._size = [], 0
        known = [*needed, *before]
        for item in known:
            self._keep(item)
        yield from known
        for item in self._following:
            self._keep(item)
            yield item

    def _keep(self, item: TimedPacket) -> None:
        self._size += item[1].size if item[1] is not None else 0
        self.is_spent = self.is_spent or self._size > MOST_HELD
        if self.is_spent:
            self._recent.clear()
        else:
            self._recent.append(item)

    def _warn(self, name: str) -> None:
        if name not in self.warnings:
            self.warnings.append(name)
