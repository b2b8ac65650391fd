"""Which files of a folder are media."""

from __future__ import annotations

import logging
import mimetypes
import os
from collections.abc import Iterable
from pathlib import Path

from avt_memocmt.errors import AvtError
from avt_memocmt.media.address import refuse_what_is_no_path

_SUFFIXES = (
    ".mp4 .m4v .mov .qt .mkv .mk3d .webm .avi .divx .mpg .mpeg .mpe .m1v .m2v .vob .mod .tod "
    ".ts .mts .m2ts .m2t .trp .wmv .asf .flv .f4v .3gp .3g2 .ogv .ogm .gif .mxf .dv .rm .rmvb "
    ".mjpg .mjpeg .nut .wtv .ivf .h264 .264 .hevc .h265 .265 "
    ".wav .wave .w64 .rf64 .bwf .flac .mp3 .mp2 .mpa .m4a .m4b .aac .ogg .oga .opus .spx .weba "
    ".mka .wma .aif .aiff .aifc .caf .au .snd .amr .awb .ac3 .eac3 .dts .ape .wv .tta .3ga .voc "
    ".sph "
    ".jpg .jpeg .jpe .jfif .jif .mpo .png .apng .webp .bmp .dib .tif .tiff .jp2 "
    ".avif .avifs .heic .heif .hif"
)
MEDIA_SUFFIXES = frozenset(_SUFFIXES.split())
"""Lower-case suffixes that a folder scan picks up; a file named outright may have any suffix."""

_AMBIGUOUS = {".ts", ".mod", ".trp", ".m2t"}
"""Suffixes of MPEG streams that source code and other files have too."""
_NAMED = 5
"""Files and folders that are named where some are left out; the rest is counted."""
_STARTS = (
    *(b"RIFF", b"RF64", b"\x1aE\xdf\xa3", b"OggS", b"fLaC", b"ID3", b"FORM", b"caff", b"FLV\1"),
    *(b"\0\0\1\xba", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", b"\xff\xd8\xff", b"\x89PNG", b"GIF8"),
)
"""What media files begin with."""

_log = logging.getLogger(__name__)


def find_media(path: str | Path) -> list[Path]:
    """The media files that a path stands for.

    What a folder holds besides that is or looks like media, and folders in it that may not be
    read, are counted and named in one line of the log.

    Args:
        path: a file, which is returned whatever its suffix, or a folder, which is searched with
            its sub-folders for `MEDIA_SUFFIXES`; hidden files and folders are skipped.

    Raises:
        AvtError: the path is missing or an address, or the folder holds no media file.
    """
    if not Path(path).exists():
        refuse_what_is_no_path(path)
    path = Path(path)
    if not os.path.lexists(path):
        raise AvtError(f"{path} does not exist; check the path.")
    if not os.path.isdir(path):
        return [path]
    unreadable: list[str] = []
    files = list(_files(path, unreadable))
    found = [file for file in files if _is_media(file)]
    others = set(files).difference(found)
    left_out = sorted(str(file.relative_to(path)) for file in others if _looks_like_media(file))
    if left_out or unreadable:
        parts = [_counted(left_out, "file", "files", "of kinds that are not read")]
        parts += [_counted(sorted(unreadable), "folder", "folders", "that cannot be read")]
        _log.warning("%s: left out %s.", path, " and ".join(part for part in parts if part))
    if not found:
        raise AvtError(f"{path} holds no media file; give a folder with video, audio or images.")
    return sorted(found)


def media_below(folder: Path) -> list[Path]:
    """The media files that a folder holds at this moment, as of `find_media`; none is no error."""
    return sorted(file for file in _files(folder, []) if _is_media(file))


def _files(folder: Path, unreadable: list[str]) -> Iterable[Path]:
    """The files in a folder and below, but hidden ones; folders that may not be read are added."""

    def note(error: OSError) -> None:
        unreadable.append(os.path.relpath(error.filename, folder))

    for place, folders, names in os.walk(folder, onerror=note):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            file = Path(place, name)
            if not name.startswith(".") and file.is_file():
                yield file


def _is_media(file: Path) -> bool:
    suffix = file.suffix.lower()
    if suffix in _AMBIGUOUS:
        return _is_mpeg(_head(file))
    return suffix in MEDIA_SUFFIXES


def _looks_like_media(file: Path) -> bool:
    """Whether the name or the first bytes of a file that is not read speak of media."""
    suffix = file.suffix.lower()
    kind = mimetypes.guess_type(file.name)[0] or ""
    if suffix in _AMBIGUOUS or kind.startswith(("video/", "audio/", "image/")):
        return True
    head = _head(file)
    return head.startswith(_STARTS) or head[4:8] == b"ftyp" or _is_mpeg(head)


def _is_mpeg(head: bytes) -> bool:
    """Whether a file begins as an MPEG transport or program stream does."""
    # Packets of 188 bytes, of 192 with a time in front, or of 204 with a check sum behind.
    starts = ((0, 188), (4, 192), (0, 204))
    is_transport = any(head[at::step][:3] == b"GGG" for at, step in starts)
    return is_transport or head.startswith(b"\0\0\1\xba")


def _head(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(1024)
    except OSError:
        return b""


def _counted(names: list[str], one: str, many: str, why: str) -> str:
    """Some names and their number, or "" for none."""
    if not names:
        return ""
    shown = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
    return f"{len(names)} {one if len(names) == 1 else many} {why} ({shown})"
