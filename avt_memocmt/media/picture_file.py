"""Files that hold a picture, or several that are shown in turn, and no sound; Pillow reads them.

FFmpeg passes over mirrored orientations, takes the thumbnail or a tile of a HEIC photo for the
whole, and does not decode animated WebP.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from avt_memocmt.errors import AvtError
from avt_memocmt.media.display_picture import still_rgb, still_size
from avt_memocmt.media.frame_sampler import FrameSampler
from avt_memocmt.media.types import MediaInfo, VideoFrame

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

MOST_PIXELS = 100_000_000
"""A larger picture is refused: to decode one of this size takes up to 900 MB."""
_SIGNATURES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"BM": "BMP",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG2000",
}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis"}
_AVIF_BRANDS = {b"avif", b"avis"}
_ANIMATED = {"WEBP", "PNG", "AVIF"}
"""Formats whose pictures are shown in turn; those of others are pages, thumbnails or depths."""
_FILMS = {".mjpeg", ".mjpg"}
"""Suffixes of films that are nothing but JPEG pictures."""
_QUICKEST, _UNSTATED = 0.01, 0.1
"""Seconds; browsers show a picture that asks for no more than the first for the second."""
Result = TypeVar("Result")


class PictureFile:
    """A still picture, or an animation with its own times.

    Attributes:
        is_animated: whether it holds several pictures that are shown in turn.
        is_damaged: whether a picture behind the first could not be decoded, which ended it.
        duration: of an animation that was read to its end, seconds; else None.
        shown_size: width and height at which it is shown, pixels.

    Args:
        path: the file.
        form: one of the formats of `_plugin`.
        max_side: longer side, in pixels, of what is shown.
        file: the open file, at its start; the path is then only its name.

    Raises:
        AvtError: the picture is too large.
        ValueError: Pillow cannot decode it.
    """

    def __init__(self, path: Path, form: str, max_side: int, file: BinaryIO | None = None) -> None:
        self._side = max_side
        self.is_damaged = False
        self.duration: float | None = None
        self._image = _guarded(lambda: _plugin(form)(file or path))
        count = getattr(self._image, "n_frames", 1) if form in _ANIMATED else 1
        # An animated PNG may begin with a picture for viewers that show only one.
        first = 1 if count > 1 and getattr(self._image, "default_image", False) else 0
        self._numbers = range(first, count)
        self.is_animated = len(self._numbers) > 1
        full_size = self._image.size
        if form == "JPEG" and not self._image.info.get("progressive"):
            # Decodes at a half, a quarter or an eighth of the size, if that is enough.
            self._image.draft(None, (2 * max_side, 2 * max_side))
        # The decoder of WebP holds several pictures with transparency.
        most = MOST_PIXELS // 2 if form == "WEBP" else MOST_PIXELS
        width, height = self._image.size
        if width * height > most:
            raise AvtError(
                f"{path} has {width} x {height} pixels, more than the {most // 1_000_000} million "
                "that are read; save it smaller."
            )
        _guarded(lambda: self._turn_to(first))
        self.shown_size = still_size(self._image, *full_size)

    @property
    def info(self) -> MediaInfo:
        """As which kind of media the file counts."""
        return MediaInfo("video" if self.is_animated else "image", None, False, True)

    def frames(self, sampler: FrameSampler, start: float, end: float) -> Iterator[VideoFrame]:
        """Yield the pictures that the sampler wants, of those on the screen within a span.

        Args:
            sampler: of pictures not asked about yet.
            start: seconds; a picture shown before and still then has this time.
            end: seconds.
        """
        time = 0.0
        for number in self._numbers:
            try:
                _guarded(partial(self._turn_to, number))
                shown, gone = max(time, start), time + self._seconds
                if shown < min(gone, end) and sampler.wants(shown):
                    yield VideoFrame(shown, _guarded(partial(still_rgb, self._image, self._side)))
            except ValueError:
                self.is_damaged = True
                break
            time = gone
        self.duration = time if self.is_animated else None

    @property
    def _seconds(self) -> float:
        """For how long the picture in front is shown."""
        seconds = float(self._image.info.get("duration") or 0.0) / 1000
        return seconds if seconds > _QUICKEST else _UNSTATED

    def close(self) -> None:
        """Release the file."""
        self._image.close()

    def _turn_to(self, number: int) -> None:
        if self.is_animated:
            self._image.seek(number)
        self._image.load()


def open_picture_file(
    path: Path, max_side: int, file: BinaryIO | None = None
) -> PictureFile | None:
    """Open a file that is a picture, or return None if it is another file or Pillow cannot read it.

    Args:
        path: any file, or none.
        max_side: longer side, in pixels, of what is shown.
        file: the open file, at its start; the path is then only its name.

    Raises:
        AvtError: the picture is too large; or it is a HEIC or AVIF photo that cannot be decoded,
            of which FFmpeg would read a thumbnail.
    """
    form = _format(path, file)
    if form is None:
        return None
    try:
        return PictureFile(path, form, max_side, file)
    except ValueError as error:
        if form not in ("HEIF", "AVIF"):
            return None
        raise AvtError(
            f"{path} is a photo that cannot be decoded; it is damaged, or save it as JPEG."
        ) from error


def _format(path: Path, file: BinaryIO | None) -> str | None:
    """The format of a picture by the first bytes of its file, or None."""
    # A pipe would wait; a path that is none at all is refused where it is opened.
    if path.suffix.lower() in _FILMS or (file is None and not os.path.isfile(path)):
        return None
    try:
        with path.open("rb") if file is None else nullcontext(file) as opened:
            head = opened.read(64)
            opened.seek(0)
    except OSError:
        return None
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        length = int.from_bytes(head[:4], "big")
        return _iso_format(head[8:12], head[16:length])
    return next((form for start, form in _SIGNATURES.items() if head.startswith(start)), None)


def _iso_format(brand: bytes, compatible: bytes) -> str | None:
    """The format by the brands of an ISO file; one that only says "picture" names others."""
    brands = [brand]
    if brand in (b"mif1", b"miaf"):
        brands += [compatible[at : at + 4] for at in range(0, len(compatible), 4)]
    for one in brands:
        if one in _HEIF_BRANDS:
            return "HEIF"
        if one in _AVIF_BRANDS:
            return "AVIF"
    return None


def _plugin(form: str) -> type[ImageFile]:
    """Pillow's reader of a format.

    It is called outright: `Image.open` would ask all that are registered, and measures pictures by
    a limit that belongs to the whole process.
    """
    if form == "HEIF":
        from pi_heif.as_plugin import HeifImageFile

        return HeifImageFile
    from PIL import (
        AvifImagePlugin,
        BmpImagePlugin,
        Jpeg2KImagePlugin,
        JpegImagePlugin,
        PngImagePlugin,
        TiffImagePlugin,
        WebPImagePlugin,
    )

    plugins: dict[str, type[ImageFile]] = {
        "AVIF": AvifImagePlugin.AvifImageFile,
        "BMP": BmpImagePlugin.BmpImageFile,
        "JPEG": JpegImagePlugin.JpegImageFile,
        "JPEG2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
        "PNG": PngImagePlugin.PngImageFile,
        "TIFF": TiffImagePlugin.TiffImageFile,
        "WEBP": WebPImagePlugin.WebPImageFile,
    }
    return plugins[form]


def _guarded(decode: Callable[[], Result]) -> Result:
    """What a step of decoding returns; whatever a damaged file makes it raise is a ValueError."""
    try:
        return decode()
    except Exception as error:  # plugins let struct.error, KeyError, zlib.error and others through
        raise ValueError(str(error)) from error
