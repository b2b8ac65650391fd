"""One clock for the sound and the pictures of a file, whatever its timestamps do."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

TimedPacket: TypeAlias = "tuple[Stream, Packet[Stream] | None]"
"""A packet of a stream; None stands for the end of the stream."""

LEAP = 1.0
"""Seconds; a longer jump forward is believed only if what follows agrees with it."""
SETBACK = 0.5
"""Seconds by which timestamps, in the order of decoding, may run back without a meaning."""
_OVERLAP = 2.0
"""Seconds by which a stream may begin before the other one behind a joint."""
_UNSTATED = 3600.0
"""Longest hole, in seconds, where the file does not state its length. The clock of a transport
stream begins anywhere and wraps at 26.5 h: a longer one is rather a joint of two recordings."""
_MOST_HELD = 1000
"""Packets that wait, at most, until a jump is understood."""


@dataclass
class _Track:
    """What is known of a stream.

    Attributes:
        unit: seconds of one step of its timestamps.
        length: seconds of a packet that states none and has no timestamp.
        offset: seconds added to its timestamps.
        due: where its next packet is expected, in the order of decoding.
    """

    unit: float
    length: float
    offset: float
    due: float


class MediaClock:
    """Makes the timestamps of packets run on, for both streams together.

    A jump forward that the length of the file allows is kept: nothing was recorded there. Where
    time runs back, as where files were joined or a recorder's clock was reset, or jumps beyond the
    end, the packets from there on are moved to where the media had got to; the second stream is
    moved by as much. The timestamp of a single packet that nothing around it agrees with is
    replaced by the expected one.

    Args:
        origin: the earliest timestamp, in seconds.
        length: seconds that the header states; None where it does not.
        warn: called with "clock_jump" where packets are moved.
        from_start: whether the packets are those from the start of the file on.
    """

    def __init__(
        self,
        origin: float,
        length: float | None,
        warn: Callable[[str], None],
        from_start: bool = True,
    ) -> None:
        self._first_due = origin if from_start else math.nan
        self._last = math.inf if length is None else origin + length + LEAP
        self._is_stated = length is not None
        self._warn = warn
        self._tracks: dict[int, _Track] = {}
        self._offsets = [0.0]
        self._reached = origin

    def follow(self, packets: Iterable[TimedPacket]) -> Iterator[TimedPacket]:
        """Yield the packets in their order, with timestamps that run on."""
        held: deque[TimedPacket] = deque()
        source = iter(packets)
        while (item := held.popleft() if held else next(source, None)) is not None:
            stream, packet = item
            if packet is not None and self._is_odd(stream, packet):
                following = self._following(stream, held, source)
                self._settle(stream, packet, following)
            if packet is not None:
                self._place(stream, packet)
            yield stream, packet

    def _track(self, stream: Stream) -> _Track:
        if stream.index not in self._tracks:
            unit = float(stream.time_base) if stream.time_base else 0.0
            rate = stream.guessed_rate if isinstance(stream, VideoStream) else None
            length = 1 / float(rate) if rate else 0.0
            self._tracks[stream.index] = _Track(unit, length, self._offsets[-1], self._first_due)
        return self._tracks[stream.index]

    def _is_odd(self, stream: Stream, packet: Packet[Stream]) -> bool:
        """Whether a packet lies where it is not expected, and the other stream does not either."""
        track = self._track(stream)
        time = _decoding_time(packet, track)
        if time is None or math.isnan(track.due):
            return False
        ahead = time + track.offset - track.due
        # Without a time of decoding, pictures come in any order.
        setback = SETBACK if packet.dts is not None else 4 * SETBACK
        if -setback <= ahead <= LEAP:
            return False
        newest = self._offsets[-1]
        if track.offset != newest and -_OVERLAP <= time + newest - track.due <= LEAP:
            track.offset = newest
            return False
        others = (t.due for t in self._tracks.values() if t is not track)
        agrees = max(others, default=-math.inf) >= time + track.offset - LEAP
        return not (ahead > 0 and agrees and self._allows(time + track.offset, ahead))

    def _following(
        self, stream: Stream, held: deque[TimedPacket], source: Iterator[TimedPacket]
    ) -> float | None:
        """The time of the next packet of a stream; those on the way to it are held."""
        unit = self._track(stream)
        for other, packet in held:
            if other.index == stream.index:
                return None if packet is None else _decoding_time(packet, unit)
        while len(held) < _MOST_HELD and (item := next(source, None)) is not None:
            held.append(item)
            if item[0].index == stream.index:
                return None if item[1] is None else _decoding_time(item[1], unit)
        return None

    def _settle(self, stream: Stream, packet: Packet[Stream], following: float | None) -> None:
        """Decide what an odd timestamp means: change the packet, or the offset of its stream."""
        track = self._track(stream)
        time = _decoding_time(packet, track)
        assert time is not None
        ahead = time + track.offset - track.due
        if following is None:
            is_alone = ahead < 0
        else:
            length = (packet.duration or 0) * track.unit
            is_alone = abs(following + track.offset - track.due) < abs(following - time - length)
        if is_alone:
            _move(packet, track.due - track.offset - time, track.unit)
        elif (known := self._known_offset(time, track)) is not None:
            track.offset = known
        elif not (ahead > 0 and self._allows(time + track.offset, ahead)):
            begins = packet.dts if packet.pts is None else packet.pts
            track.offset = self._reached - (begins or 0) * track.unit
            self._offsets.append(track.offset)
            # The header spoke of what lies before the joint.
            self._is_stated, self._last = False, math.inf
            self._warn("clock_jump")

    def _known_offset(self, time: float, track: _Track) -> float | None:
        """An earlier offset, or that of the other stream, with which the time runs on."""
        newest = self._offsets[-1]
        if track.offset != newest and -_OVERLAP <= time + newest - track.due <= _UNSTATED:
            return newest
        fits = (o for o in self._offsets if -SETBACK <= time + o - track.due <= LEAP)
        return next(fits, None)

    def _allows(self, time: float, ahead: float) -> bool:
        return time <= self._last if self._is_stated else ahead <= _UNSTATED

    def _place(self, stream: Stream, packet: Packet[Stream]) -> None:
        """Move a packet by the offset of its stream, and note where the stream has got to."""
        track = self._track(stream)
        if track.offset:
            _move(packet, track.offset, track.unit)
        length = (packet.duration or 0) * track.unit
        if packet.dts is not None:
            track.due = packet.dts * track.unit + length
        if packet.pts is not None:
            self._reached = max(self._reached, packet.pts * track.unit + length)
            if packet.dts is None and stream.type == "audio":
                track.due = packet.pts * track.unit + length
        elif packet.dts is None:
            track.due += length or track.length
            self._reached = max(self._reached, track.due)


def _decoding_time(packet: Packet[Stream], track: _Track) -> float | None:
    """The timestamp in seconds as it is stored."""
    stamp = packet.pts if packet.dts is None else packet.dts
    return None if stamp is None else stamp * track.unit


def _move(packet: Packet[Stream], seconds: float, unit: float) -> None:
    steps = round(seconds / unit)
    if packet.dts is not None:
        packet.dts += steps
    if packet.pts is not None:
        packet.pts += steps
