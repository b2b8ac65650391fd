"""Media by an address: network streams, films on a server, and what is no file at all."""

from __future__ import annotations

import re
from pathlib import Path

import av
from av.container import InputContainer

from avt_memocmt.errors import AvtError

NETWORK_TIMEOUT = 10.0
"""Seconds without data after which a network stream counts as lost."""

# Two letters at least: "C:/films" is a drive. `Path` makes one slash of several.
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):(/+)", re.IGNORECASE)
_FILE_SERVER = re.compile(r"(?:https?|ftps?|sftp)://", re.IGNORECASE)
_PLAYLISTS = {"hls", "dash"}


def is_address(name: str) -> bool:
    """Whether a source is named by an address such as rtsp://host/path."""
    match = _ADDRESS.match(name)
    return match is not None and len(match[2]) > 1


def may_be_recording(url: str, container: InputContainer) -> bool:
    """Whether an address may lead to a stored file, which begins anew at each connection.

    Internet radio may greet every listener with the same jingle.
    """
    return _FILE_SERVER.match(url) is not None and not _is_radio(container)


def refuse_what_is_no_path(path: str | Path) -> None:
    """Refuse an address, and "-" for standard input, where only a file can be read.

    Raises:
        AvtError: the path is one of these.
    """
    if str(path) == "-":
        raise AvtError("standard input cannot be read; write it to a file and give that.")
    if match := _ADDRESS.match(str(path)):
        slashes = match[2] if len(match[2]) > 1 else "//"
        url = f"{match[1]}:{slashes}{str(path)[match.end() :]}"
        raise AvtError(
            f"{url} is an address, not a file; download it first, or follow it with: "
            f"avt-memocmt stream {url}"
        )


def open_address(url: str) -> InputContainer:
    """Connect to a network stream or to a film on a server.

    Raises:
        AvtError: it cannot be reached, or does not send media.
    """
    try:
        return av.open(url, metadata_errors="replace", timeout=NETWORK_TIMEOUT)
    except av.error.InvalidDataError as error:
        raise AvtError(
            f"{url} does not send media that FFmpeg can read; give the address of the stream or "
            "file itself, not of a page that shows it."
        ) from error
    except (av.FFmpegError, ValueError, OSError) as error:
        raise AvtError(f"{url} cannot be reached ({reason(error)}); check the address.") from error


def has_end(container: InputContainer) -> bool:
    """Whether what an address sends is a film with a length, not a live stream.

    A stored file states its duration or its size; a playlist has a size though it is live, and
    internet radio may claim one that pleases browsers.
    """
    if _is_radio(container):
        return False
    if (container.duration or 0) > 0:
        return True
    return container.size > 0 and container.format.name not in _PLAYLISTS


def _is_radio(container: InputContainer) -> bool:
    return any(name.lower().startswith("icy-") for name in container.metadata)


def reason(error: Exception) -> str:
    """Why a source cannot be read, in a few words."""
    if isinstance(error, av.error.ExitError):
        return f"nothing came for {NETWORK_TIMEOUT:g} s"
    return (getattr(error, "strerror", None) or str(error) or repr(error)).splitlines()[0]
