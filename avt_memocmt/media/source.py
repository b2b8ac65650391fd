"""What a caller gives as media: a path, bytes, an open file, sound with its rate, or a picture."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeGuard

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.errors import AvtError
from avt_memocmt.printable import path_text

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_PIPED = 2**31
"""Bytes that are read of a pipe, which cannot be sought in and is held in memory."""
MOST_CHANNELS = 64
MOST_RATE = 1_000_000  # Hz
_PNG_MODES = ("1", "L", "LA", "I;16", "P", "RGB", "RGBA")
_SAMPLE_TYPES = ("float32", "float64", "int16", "int32", "uint8")

Sound = tuple[NDArray[Any], float] | tuple[float, NDArray[Any]]
"""Samples [n], [channels, n] or [n, channels], and their rate in Hz, in either order."""
if TYPE_CHECKING:
    Media = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Sound | Image


@dataclass(frozen=True)
class MediaSource:
    """Media that can be opened more than once.

    Attributes:
        name: what a prediction calls it: the path, or such as "<bytes>".
        path: of the file; only a name where `open` gives one that is open.
        open: returns an open file from its start, or None where the path is to be opened.
    """

    name: str
    path: Path
    open: Callable[[], BinaryIO | None]


def media_source(media: object) -> MediaSource:
    """Take what a caller gives as media.

    Args:
        media: a path of a file; the bytes of one; a binary file that is open, read from its start
            wherever it stands; a tuple of samples and their rate, as `Sound` describes, float in
            [-1, 1] or integers of full scale; or a PIL picture.

    Raises:
        AvtError: it is none of these, or is empty.
    """
    if isinstance(media, str | os.PathLike):
        return _path(os.fspath(media))
    if isinstance(media, bytes | bytearray | memoryview):
        return _in_memory("<bytes>", bytes(media))
    if callable(getattr(media, "read", None)):
        return _open_file(media)
    if isinstance(media, tuple) and len(media) == 2:
        return _in_memory("<sound>", _wav(*media))
    if "PIL.Image" in sys.modules and isinstance(media, sys.modules["PIL.Image"].Image):
        return _in_memory("<picture>", _png(media))
    raise AvtError(_refusal(media))


def _path(path: str | bytes) -> MediaSource:
    path = os.fsdecode(path)
    if not path.strip():
        raise AvtError("the path is empty; give the path of a media file.")
    return MediaSource(path_text(path), Path(path), lambda: None)


def _in_memory(name: str, data: bytes) -> MediaSource:
    if not data:
        raise AvtError(f"{name} is empty (0 bytes); give the content of a media file.")
    return MediaSource(name, Path(name), lambda: io.BytesIO(data))


def _open_file(file: Any) -> MediaSource:
    given = getattr(file, "name", None)
    name = path_text(given) if isinstance(given, str) and given else "<file>"
    if isinstance(file, io.TextIOBase) or "b" not in getattr(file, "mode", "b"):
        raise AvtError(f"{name} is opened as text; open it in binary mode, with open(path, 'rb').")
    if getattr(file, "closed", False):
        raise AvtError(f"{name} is a file that is closed; give it while it is open.")
    if not (callable(getattr(file, "seekable", None)) and file.seekable()):
        data = file.read(MOST_PIPED + 1)
        if not isinstance(data, bytes):
            raise AvtError(f"{name} does not yield bytes; give a file in binary mode.")
        if len(data) > MOST_PIPED:
            raise AvtError(f"{name} sends more than 2 GiB; write it to a file and give its path.")
        return _in_memory(name, data)

    def rewound() -> BinaryIO:
        file.seek(0)
        return file

    if file.seek(0, os.SEEK_END) == 0:
        raise AvtError(f"{name} is empty (0 bytes); give the content of a media file.")
    return MediaSource(name, Path(name), rewound)


def _wav(first: Any, second: Any) -> bytes:
    """Samples and their rate, in either order, as a WAV file."""
    from scipy.io import wavfile

    samples, rate = (second, first) if _is_number(first) else (first, second)
    if not _is_number(rate) or not 1 <= rate <= MOST_RATE or int(rate) != rate:
        raise AvtError(
            f"{rate!r} is no rate of samples; give (samples, rate) with the rate in Hz, such as "
            "(samples, 16000)."
        )
    buffer = io.BytesIO()
    wavfile.write(buffer, int(rate), _samples(samples))
    return buffer.getvalue()


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float | np.number)


def _samples(given: Any) -> NDArray[Any]:
    """Samples [n, channels] of a type that a WAV file holds."""
    samples = np.asarray(given)
    if samples.dtype == np.float16:
        samples = samples.astype(np.float32)
    if samples.dtype.name not in _SAMPLE_TYPES:
        raise AvtError(
            f"samples of type {samples.dtype} are not read; give float32 in [-1, 1] or int16."
        )
    if samples.size == 0:
        raise AvtError("<sound> is empty (0 samples); give some sound.")
    if samples.ndim == 2 and samples.shape[0] < samples.shape[1]:
        samples = samples.T
    if samples.ndim not in (1, 2) or samples.shape[1:] > (MOST_CHANNELS,):
        raise AvtError(
            f"samples of shape {list(np.shape(given))} are no sound; give [n], or [channels, n] "
            f"with at most {MOST_CHANNELS} channels."
        )
    if not np.isfinite(samples).all():
        raise AvtError("<sound> holds samples that are not finite (nan or inf); repair it.")
    return samples


def _png(picture: Image) -> bytes:
    from PIL import ImageOps

    buffer = io.BytesIO()
    try:
        upright = ImageOps.exif_transpose(picture)
        if upright.mode not in _PNG_MODES:
            upright = upright.convert("RGB")
        # The fastest compression: the bytes are read at once and thrown away.
        upright.save(buffer, "PNG", compress_level=1)
    except (OSError, ValueError, SyntaxError) as error:
        raise AvtError(f"<picture> cannot be decoded by Pillow: {error}.") from error
    return buffer.getvalue()


def _refusal(media: object) -> str:
    accepted = "give a path, bytes, a file opened in binary mode, (samples, rate) or a PIL picture"
    if isinstance(media, np.ndarray):
        return (
            "an array alone does not say what it is; give sound as (samples, rate), and a picture "
            "as PIL.Image.fromarray(array)."
        )
    if isinstance(media, list | tuple | set):
        return f"a {type(media).__name__} is not one media; {accepted}, one at a call."
    return f"media of type {type(media).__name__} cannot be read; {accepted}."
