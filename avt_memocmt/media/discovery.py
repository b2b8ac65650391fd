"""Which files of a folder are media."""

from __future__ import annotations

import os
from pathlib import Path

from avt_memocmt.errors import AvtError
from avt_memocmt.media.address import refuse_what_is_no_path

_SUFFIXES = (
    ".mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .mts .m2ts .wmv .flv .3gp .ogv .gif "
    ".wav .flac .mp3 .m4a .aac .ogg .oga .opus .wma .aif .aiff .amr .ac3 "
    ".jpg .jpeg .jpe .jfif .jif .mpo .png .apng .webp .bmp .dib .tif .tiff .jp2 "
    ".avif .avifs .heic .heif .hif"
)
MEDIA_SUFFIXES = frozenset(_SUFFIXES.split())
"""Lower-case suffixes that a folder scan picks up; a file named outright may have any suffix."""


def find_media(path: str | Path) -> list[Path]:
    """The media files that a path stands for.

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
    found = [
        file
        for file in path.rglob("*")
        if file.suffix.lower() in MEDIA_SUFFIXES
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
        and file.is_file()
    ]
    if not found:
        raise AvtError(f"{path} holds no media file; give a folder with video, audio or images.")
    return sorted(found)
