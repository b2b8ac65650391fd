"""JSON as text that can be printed anywhere, and an array on disk that grows item by item."""

from __future__ import annotations

import json
import re
from io import FileIO
from pathlib import Path
from typing import Any

from avt_memocmt.errors import AvtError
from avt_memocmt.files import write_atomically, write_whole

# Inside strings JSON may hold them; a terminal obeys some, and UTF-8 has no place for surrogates.
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_OPENING, _BETWEEN, _CLOSING = b"[\n  ", b",\n  ", b"\n]"


def json_text(value: object, indent: int | None = None, *, ascii_only: bool = False) -> str:
    """A value as JSON that is valid Unicode and holds nothing that controls a terminal.

    Args:
        value: what `json.dumps` takes.
        indent: as of `json.dumps`.
        ascii_only: write all other characters as escapes, for an output that is not Unicode.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only, allow_nan=False)
    return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class JsonArrayFile:
    """A JSON array in a file that is whole after every item, whatever happens then.

    An item takes the place of the closing bracket in one write, so that 10,000 of them cost no more
    than writing the file once. What cannot be written waits for the next item or for `write`, and
    leaves the file as it was.

    Args:
        path: of the file; one that is there is replaced with the first item.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # File, length without the closing, items that wait: in one attribute, because an interrupt
        # may come between any two statements.
        self._state: tuple[FileIO | None, int, tuple[bytes, ...]] = None, 0, ()

    @property
    def waiting(self) -> int:
        """Items that could not be written yet."""
        return len(self._state[2])

    def add(self, item: Any) -> None:
        """Append an item; with it, those that wait.

        Raises:
            AvtError: it cannot be written, and waits.
        """
        text = json_text(item, indent=2).replace("\n", "\n  ").encode()
        file, end, items = self._state
        self._state = file, end, (*items, text)
        self.write()

    def write(self) -> None:
        """Write the items that wait; an empty array where there was none.

        Raises:
            AvtError: they cannot be written, and still wait.
        """
        file, end, items = self._state
        if not items:
            if file is None:
                write_atomically(self.path, b"[]")
            return
        content = (_OPENING if file is None else _BETWEEN) + _BETWEEN.join(items)
        if file is None:
            write_atomically(self.path, content + _CLOSING)
            file = FileIO(self.path, "r+")
        else:
            self._append(file, end, content + _CLOSING)
        self._state = file, end + len(content), ()

    def close(self) -> None:
        """Release the file, whole even where a write was interrupted; nothing is added after it."""
        file, end, _ = self._state
        if file is not None:
            _restore(file, end)
            file.close()

    def _append(self, file: FileIO, end: int, content: bytes) -> None:
        try:
            file.seek(end)
            write_whole(file, content)
        except OSError as error:
            _restore(file, end)
            raise AvtError(f"cannot write {self.path}: {error.strerror}.") from error


def _restore(file: FileIO, end: int) -> None:
    """Close the array behind its last whole item; the disk still has that place for it."""
    file.seek(end)
    file.truncate(end + len(_CLOSING))
    file.write(_CLOSING)
