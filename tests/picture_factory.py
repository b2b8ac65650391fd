"""Writes HEIC and AVIF photos as phones do: tiles, a thumbnail, a turn and a mirror."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

_KINDS = {".heic": (b"heic", b"hvc1"), ".avif": (b"avif", b"av01")}

TURNS = {2: (0, 1), 3: (2, None), 4: (0, 0), 5: (1, 0), 6: (3, None), 7: (3, 0), 8: (1, None)}
"""EXIF orientations as `irot` (quarter turns against the clock), then `imir` (0 = top to bottom,
1 = left to right), in the order in which a viewer applies them."""


def write_photo(
    path: Path,
    image: NDArray[np.uint8],
    *,
    rows: int = 1,
    columns: int = 1,
    orientation: int = 1,
    thumbnail: NDArray[np.uint8] | None = None,
) -> Path:
    """Write a photo as a grid of tiles.

    Args:
        path: ends with .heic or .avif.
        image: uint8 [height, width, 3], a whole number of tiles of at least 64 pixels.
        rows: of tiles.
        columns: of tiles.
        orientation: as of EXIF; written as properties.
        thumbnail: a smaller picture, which comes first in the file.
    """
    brand, kind = _KINDS[path.suffix]
    height, width = image.shape[0] // rows, image.shape[1] // columns
    pictures = [
        image[row * height : (row + 1) * height, column * width : (column + 1) * width]
        for row in range(rows)
        for column in range(columns)
    ]
    pictures = ([] if thumbnail is None else [thumbnail]) + pictures
    coded = [_coded(picture, path.suffix) for picture in pictures]
    tiles = list(range(len(pictures) - rows * columns + 1, len(pictures) + 1))
    whole = len(pictures) + 1
    properties = [record for record, _ in coded]
    properties += [_size(*picture.shape[1::-1]) for picture in [*pictures, image]]
    turned = len(properties)
    if orientation != 1:
        turn, mirror = TURNS[orientation]
        properties.append(_box(b"irot", bytes([turn])))
        properties += [] if mirror is None else [_box(b"imir", bytes([mirror]))]
    count = len(coded)
    owned = {number: [number, count + number] for number in range(1, count + 1)}
    owned[whole] = [2 * count + 1, *range(turned + 1, len(properties) + 1)]
    grid = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, *image.shape[1::-1])
    references = _references(b"dimg", whole, tiles)
    references += _references(b"thmb", 1, [whole]) if thumbnail is not None else b""
    parts = (
        _box(b"hdlr", bytes(8), b"pict", bytes(13)),
        _box(b"pitm", bytes(4), struct.pack(">H", whole)),
        _items([kind] * count + [b"grid"]),
        _box(b"iref", bytes(4), references),
        _box(b"iprp", _box(b"ipco", *properties), _owners(owned)),
        _box(b"idat", grid),
    )
    start = _box(b"ftyp", brand, bytes(4), b"mif1", brand, b"miaf")
    sizes = [len(data) for _, data in coded]
    behind = len(start) + len(_meta(parts, [0] * count, sizes, len(grid))) + 8
    offsets = [behind + sum(sizes[:number]) for number in range(count)]
    path.write_bytes(
        start
        + _meta(parts, offsets, sizes, len(grid))
        + _box(b"mdat", *[data for _, data in coded])
    )
    return path


def _coded(picture: NDArray[np.uint8], suffix: str) -> tuple[bytes, bytes]:
    """The box that sets up the decoder, and one coded picture, out of a file of one picture."""
    picture, file = np.ascontiguousarray(picture), io.BytesIO()
    if suffix == ".avif":
        Image.fromarray(picture).save(file, "AVIF", speed=10, subsampling="4:2:0")
        return _found(file.getvalue(), b"av1C"), _found(file.getvalue(), b"mdat")[8:]
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx265", rate=1)
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = {"preset": "ultrafast", "x265-params": "log-level=none"}
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = 0, Fraction(1)
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            packet.dts = packet.pts  # libx265 leaves it unset in a film of one picture
            container.mux(packet)
    return _found(file.getvalue(), b"hvcC"), _found(file.getvalue(), b"mdat")[8:]


def _found(file: bytes, kind: bytes) -> bytes:
    at = file.index(kind) - 4
    return file[at : at + int.from_bytes(file[at : at + 4], "big")]


def _box(kind: bytes, *parts: bytes) -> bytes:
    payload = b"".join(parts)
    return struct.pack(">I", 8 + len(payload)) + kind + payload


def _meta(parts: Sequence[bytes], offsets: Sequence[int], sizes: Sequence[int], grid: int) -> bytes:
    places = [(0, offset, size) for offset, size in zip(offsets, sizes, strict=True)]
    rows = [
        struct.pack(">HHHHII", number, method, 0, 1, offset, size)
        for number, (method, offset, size) in enumerate([*places, (1, 0, grid)], 1)
    ]
    located = _box(b"iloc", b"\1\0\0\0", b"\x44\0", struct.pack(">H", len(rows)), *rows)
    return _box(b"meta", bytes(4), *parts, located)


def _items(kinds: Sequence[bytes]) -> bytes:
    entries = [
        _box(b"infe", b"\2\0\0\0", struct.pack(">HH", number, 0), kind, b"\0")
        for number, kind in enumerate(kinds, 1)
    ]
    return _box(b"iinf", bytes(4), struct.pack(">H", len(entries)), *entries)


def _references(kind: bytes, origin: int, targets: Sequence[int]) -> bytes:
    return _box(kind, struct.pack(f">HH{len(targets)}H", origin, len(targets), *targets))


def _size(width: int, height: int) -> bytes:
    return _box(b"ispe", bytes(4), struct.pack(">II", width, height))


def _owners(owned: dict[int, list[int]]) -> bytes:
    rows = [
        struct.pack(">HB", number, len(numbers)) + bytes(0x80 | one for one in numbers)
        for number, numbers in owned.items()
    ]
    return _box(b"ipma", bytes(4), struct.pack(">I", len(rows)), *rows)
