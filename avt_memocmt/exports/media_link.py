"""Where an exported file finds its media."""

from __future__ import annotations

import mimetypes
import os
from pathlib import Path
from urllib.parse import quote


def file_name(media: str) -> str:
    """The name of a media without its folders, of either kind of path."""
    return media.replace("\\", "/").rstrip("/").rpartition("/")[2] or media


def media_type(media: str) -> str:
    """The media type by the name, "application/octet-stream" where it does not tell."""
    return mimetypes.guess_type(file_name(media))[0] or "application/octet-stream"


def absolute_link(media: str) -> str:
    """A `file:` address of a media that is a file here, else its name as a relative address."""
    path = Path(media)
    return path.absolute().as_uri() if _is_file(path) else quote(file_name(media))


def relative_link(media: str, folder: Path) -> str:
    """The address of a media relative to the folder of an exported file.

    Args:
        media: as in the prediction.
        folder: in which the exported file lies.
    """
    name = file_name(media)
    if _is_file(Path(media)):
        try:
            name = Path(os.path.relpath(media, folder)).as_posix()
        except ValueError:  # another drive of Windows
            return absolute_link(media)
    return f"./{quote(name)}" if not name.startswith("../") else quote(name)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long a name, or one with a null character
        return False
