"""Reaches a stretch in the middle of a long file without decoding what lies before it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import chain

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from avt_memocmt.media.clock import TimedPacket

RUN_IN = 2.0
"""Seconds of sound that are decoded before a stretch: no decoder needs longer to run in."""

_INDEXED = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "wav", "w64"}
"""Formats with an index, or with packets of one size: a jump leads to the right place, and the
times there are those of reading from the start. Of others all packets are read, undecoded."""
_NEAR = 20.0
"""Seconds into a file up to which passing over packets is as fast as a jump."""
MOST_HELD = 64 << 20
"""Bytes of packets that wait for a picture from which decoding can begin, or for a stretch."""
_MOST_APART = 10.0
"""Seconds that sound and pictures of one moment lie apart in a file, at most."""
_MOST_SEARCHED = 500
"""Packets behind a jump among which the streams show where they are."""


def can_jump(container: InputContainer, start: float) -> bool:
    """Whether an open file can be entered at a time, in seconds from the start of the media."""
    stated = (container.duration or 0) / av.time_base
    return container.format.name in _INDEXED and _NEAR <= start < stated


def jump(
    container: InputContainer, streams: list[Stream], start: float
) -> Iterator[Packet[Stream]] | None:
    """Go to a place from which the sound and pictures at a time can be decoded.

    Args:
        container: an open file that `can_jump`.
        streams: those that are read.
        start: that time as a timestamp, in seconds.

    Returns:
        The packets from there on. None where no such place is found; the file then stands at its
        start.
    """
    wanted = start - RUN_IN
    try:
        container.seek(round(wanted * av.time_base))
        packets = container.demux(streams)
        first = _first_packets(packets, {stream.index for stream in streams}, wanted)
    except (av.FFmpegError, StopIteration):
        first = None
    if first is not None:
        return chain(first, packets)
    container.seek(min(0, container.start_time or 0))
    return None


def _first_packets(
    packets: Iterator[Packet[Stream]], missing: set[int], wanted: float
) -> list[Packet[Stream]] | None:
    """Packets up to the first of each stream; None if one of those comes too late."""
    found: list[Packet[Stream]] = []
    while missing and len(found) < _MOST_SEARCHED:
        packet = next(packets)
        if not packet.size or packet.pts is None:
            return None
        found.append(packet)
        if packet.stream.index in missing:
            missing.discard(packet.stream.index)
            begins = packet.is_keyframe or packet.stream.type != "video"
            if not begins or float(packet.pts * packet.time_base) > wanted:
                return None
    return found


def pass_over(packets: Iterator[TimedPacket], start: float) -> list[TimedPacket]:
    """Read packets up to a time, and return those that something from there on needs.

    Left out is sound that ends long before it, and pictures before the last one that needs no
    other.

    Args:
        packets: with timestamps that run on; those from that time on are left to be read.
        start: that time as a timestamp, in seconds.
    """
    held: deque[TimedPacket] = deque()
    left_out: dict[int, TimedPacket] = {}
    units: dict[int, float] = {}  # fractions would take a third of the time of passing over
    size = 0
    for stream, packet in packets:
        if packet is not None and packet.pts is not None:
            if stream.index not in units:
                units[stream.index] = float(packet.time_base)
            time = packet.pts * units[stream.index]
            if time < start - RUN_IN and stream.type == "audio":
                left_out[stream.index] = stream, packet
                continue
            if time < start and stream.type == "video" and packet.is_keyframe:
                held = deque(item for item in held if item[0].index != stream.index)
                size = 0
            size += packet.size
        held.append((stream, packet))
        if packet is None or packet.pts is None or time >= start or size > MOST_HELD:
            break
    if held and held[-1][1] is None:
        # The file ends before that time; its last sound tells where.
        return [*left_out.values(), *held]
    return list(held)


def cut_off(packets: Iterator[TimedPacket], end: float) -> Iterator[TimedPacket]:
    """Yield packets up to the first one far behind a time, then the ends of their streams.

    Sound and pictures lie some way apart in a file, and one of them may have ended long before.

    Args:
        packets: with timestamps that run on.
        end: that time as a timestamp, in seconds.
    """
    streams: dict[int, Stream] = {}
    for stream, packet in packets:
        streams[stream.index] = stream
        yield stream, packet
        if packet is None or packet.pts is None:
            continue
        if float(packet.pts * packet.time_base) > end + _MOST_APART:
            yield from ((stream, None) for stream in streams.values())
            return
