"""Holds the size of a file against what its own headers say of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import av
from av.container import InputContainer

# Formats whose header states the length; elsewhere FFmpeg only estimates it.
_STATED_LENGTH = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "wav", "avi", "flac"}
_STATED_LENGTH |= {"asf", "flv", "mxf", "tta", "wv"}
_TOLERANCE = 4096
"""Bytes by which a header may be wrong, as those of many programs are."""
_UNKNOWN = 0x7FFF_0000
"""Sizes from here on stand for "not known yet" in headers of 32 bits that were never completed."""
_MOST_PARTS = 20_000
_SEARCHED = 8192
_SHORT_READ = (b"\x1aE\xdf\xa3", b"FLV\1")
_MOST_INDEX = 0.1
"""Share of such a file that an index behind its packets takes at most."""
_MATROSKA_INFO, _MATROSKA_DURATION, _MATROSKA_INFO_SIZE = b"\x15\x49\xa9\x66", b"\x44\x89", 200
_RIFF = (b"RIFF", b"RF64", b"BW64")
_W64 = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_ASF_PROPERTIES = b"\xa1\xdc\xab\x8c\x47\xa9\xcf\x11\x8e\xe4\x00\xc0\x0c\x20\x53\x65"


def stated_length(container: InputContainer, path: Path | None) -> float | None:
    """Length in seconds that the header of an open file states; None where FFmpeg estimates it.

    Args:
        container: the open file.
        path: of the file; None where it has none, and its own headers are not looked into.
    """
    name, duration = container.format.name, container.duration
    if name not in _STATED_LENGTH or not duration or duration < 0:
        return None
    is_stated = path is None or states_length(path, name)
    return duration / av.time_base if is_stated else None


def states_length(path: Path, form: str) -> bool:
    """Whether the header of a file states its length, so that it need not be estimated.

    Args:
        path: the file.
        form: FFmpeg's name of its format, one in which headers usually state it.
    """
    if form != "matroska,webm":
        return True
    # A recording that was written while it was watched has none: FFmpeg then divides the size of
    # the file by the rate of its sound.
    with path.open("rb") as file:
        head = file.read(_SEARCHED)
    # A table of contents before it may hold its name too.
    first, last = head.find(_MATROSKA_INFO), head.rfind(_MATROSKA_INFO)
    return first < 0 or _MATROSKA_DURATION in head[first : last + _MATROSKA_INFO_SIZE]


def size_warning(path: Path, last_byte: int) -> str | None:
    """What the headers of WAV, AVI, AIFF, AU, CAF, W64, ASF, MP4 and MP3 files say of their size.

    FFmpeg takes the length of most of these from the size of the file instead. Of Matroska and FLV
    files it stops at the end of the first recording, or of the second.

    Args:
        path: the file, which was read to its end.
        last_byte: where the last packet in it ends.

    Returns:
        "truncated" where the file is shorter than stated; "rest_unread" where a second recording
        follows in it, which FFmpeg does not read; None where all is well or not known.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_SEARCHED)
        if head[:4] in _RIFF:
            return _of_parts(_riff_chunks(file), size, b"WAVE")
        if head[:4] in _SHORT_READ:
            return "rest_unread" if last_byte < (1 - _MOST_INDEX) * size - _TOLERANCE else None
        if head[4:8] == b"ftyp":
            return _of_parts(_boxes(file), size, b"ftyp", 0)
        if head[:4] == b"caff":
            return _of_parts(_caf_chunks(file), size, b"caff")
        if (stated := _of_header(head)) is not None and stated < size:
            file.seek(stated)
            return "rest_unread" if file.read(4) == head[:4] else None
        if stated is None:
            stated = _of_mp3(file, head)
    return "truncated" if stated is not None and stated > size + _TOLERANCE else None


def _of_parts(
    parts: Iterator[tuple[bytes, int]], size: int, first: bytes, tolerance: int = _TOLERANCE
) -> str | None:
    """Judge a file by its parts, each with its kind and the byte at which it ends."""
    recordings = 0
    for kind, end in parts:
        recordings += kind == first
        if end > size + tolerance:
            return "truncated"
    return "rest_unread" if recordings > 1 else None


def _riff_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """The outermost chunks of a WAV, or of an AVI, which has several when it is long."""
    at = 0
    for _ in range(_MOST_PARTS):
        file.seek(at)
        head = file.read(28)
        length = int.from_bytes(head[4:8], "little")
        if head[:4] in _RIFF[1:] and head[12:16] == b"ds64":
            length = int.from_bytes(head[20:28], "little")
        elif head[:4] != b"RIFF" or length == 0 or length >= _UNKNOWN:
            return
        at += 8 + length + length % 2
        yield head[8:12], at


def _boxes(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """The outermost boxes of an MP4 file (ISO 14496-12)."""
    at = 0
    for _ in range(_MOST_PARTS):
        file.seek(at)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8 or not head[4:8].isalnum():
            return
        at += length
        yield head[4:8], at


def _caf_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """The chunks of a Core Audio file."""
    at = 8
    for _ in range(_MOST_PARTS):
        file.seek(at)
        head = file.read(12)
        length = int.from_bytes(head[4:12], "big", signed=True)
        if len(head) < 12 or length < 0:
            return
        at += 12 + length
        yield head[:4], at


def _of_header(head: bytes) -> int | None:
    """Bytes that the header of a file states, or None."""
    if head[:4] == b"FORM":
        return 8 + int.from_bytes(head[4:8], "big")
    if head[:4] == b".snd":
        start, length = int.from_bytes(head[4:8], "big"), int.from_bytes(head[8:12], "big")
        return None if length >= _UNKNOWN else start + length
    if head.startswith(_W64):
        return int.from_bytes(head[16:24], "little")
    if (at := head.find(_ASF_PROPERTIES)) >= 0:
        return int.from_bytes(head[at + 40 : at + 48], "little")
    return None


def _of_mp3(file: BinaryIO, head: bytes) -> int | None:
    """Bytes that the Xing header states, which encoders write into the first frame of an MP3."""
    start = 0
    if head[:3] == b"ID3":
        start = 10 + sum(
            (byte & 127) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True)
        )
        file.seek(start)
        head = file.read(_SEARCHED)
    at = max(head.find(b"Xing", 0, 64), head.find(b"Info", 0, 64))
    if head[:1] != b"\xff" or at < 0:
        return None
    flags = int.from_bytes(head[at + 4 : at + 8], "big")
    if not flags & 2:
        return None
    at += 12 if flags & 1 else 8
    return start + int.from_bytes(head[at : at + 4], "big")
