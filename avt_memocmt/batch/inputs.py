"""Which files a batch reads, what their results are called, and when a file has stopped growing."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from avt_memocmt.errors import AvtError
from avt_memocmt.media.discovery import find_media, media_below
from avt_memocmt.overlay import OVERLAY_SUFFIX
from avt_memocmt.printable import path_text

SETTLED = 5.0
"""Seconds for which size and time of a file must stay the same before a watch takes it."""
_MOST_BYTES = 180
"""Of a result's name; file systems allow 255 with what is added to it."""


@dataclass(frozen=True)
class Input:
    """One file of a batch, as it was when it was found.

    Attributes:
        media: its path.
        name: of its results, below the output folder: the path below the folder that was given, or
            below the one that all inputs have in common.
        size: bytes.
        mtime_ns: when it was changed last, nanoseconds since 1970.
    """

    media: Path
    name: str
    size: int
    mtime_ns: int


class Inputs:
    """The files behind the arguments of a command; found anew at each call of `find`.

    Args:
        arguments: files and folders.
        is_watched: whether folders may be empty, because files are still to come.

    Raises:
        AvtError: a watch was given something that is no folder.
    """

    def __init__(self, arguments: Sequence[str], is_watched: bool = False) -> None:
        self._arguments = arguments
        self._is_watched = is_watched
        if is_watched:
            for argument in arguments:
                if not os.path.isdir(argument):
                    raise AvtError(f"{argument} is no folder; --watch looks for files in folders.")
        roots = [a if os.path.isdir(a) else os.path.dirname(a) or "." for a in arguments]
        self._base = ""
        with suppress(ValueError):  # they lie on several drives
            self._base = os.path.commonpath([os.path.abspath(root) for root in roots])

    def find(self) -> tuple[list[Input], list[tuple[str, str]]]:
        """All files that are there now, and (argument, reason) of arguments that lead to none.

        Overlays that lie in a folder are results, not inputs.
        """
        found: list[Input] = []
        failures = []
        for argument in self._arguments:
            path = Path(argument)
            try:
                files = media_below(path) if self._is_watched else find_media(argument)
            except AvtError as error:
                failures.append((path_text(argument), str(error)))
                continue
            found += [
                self._input(file)
                for file in files
                if file == path or not file.name.endswith(OVERLAY_SUFFIX)
            ]
        return found, failures

    def _input(self, file: Path) -> Input:
        name = os.path.abspath(file)
        if self._base:
            name = os.path.relpath(name, self._base)
        else:
            drive, rest = os.path.splitdrive(name)
            name = drive.strip(":\\/") + rest
        try:
            status = file.stat()
        except OSError:  # it has just gone, or cannot be read, which the reader says
            return Input(file, _short(name), 0, 0)
        return Input(file, _short(name), status.st_size, status.st_mtime_ns)


class Settled:
    """Tells which files have stopped growing."""

    def __init__(self) -> None:
        self._since: dict[str, tuple[Input, float]] = {}

    def of(self, found: Sequence[Input], now: float) -> list[Input]:
        """Those that are as they were `SETTLED` seconds ago.

        Args:
            found: all files that are there.
            now: seconds of a clock that never runs back.
        """
        before, self._since = self._since, {}
        for item in found:
            known, since = before.get(item.name, (item, now))
            self._since[item.name] = item, since if known == item else now
        return [item for item, since in self._since.values() if now - since >= SETTLED]


def _short(name: str) -> str:
    """The name, or where it is too long for a file its beginning and a number of its own."""
    folder, last = os.path.split(name)
    data = os.fsencode(last)
    if len(data) <= _MOST_BYTES:
        return name
    digest = hashlib.sha256(data).hexdigest()[:16]
    start = data[: _MOST_BYTES - len(digest) - 1].decode(errors="ignore")
    return os.path.join(folder, f"{start}~{digest}")
