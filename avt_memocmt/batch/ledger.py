"""Which files of a batch are done, and from what their results were made."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from avt_memocmt.batch.inputs import Input
from avt_memocmt.errors import AvtError
from avt_memocmt.files import write_text_atomically

LEDGER_FILE = ".batch.jsonl"


class Ledger:
    """A file with a line for every result; killed in the middle of a line, it loses that one.

    Args:
        folder: of the results.
        options: all that decides on a result beside its file, as JSON holds it.
        keep: whether what earlier runs wrote there counts.

    Raises:
        AvtError: the file cannot be read or written.
    """

    def __init__(self, folder: Path, options: Mapping[str, Any], keep: bool) -> None:
        self._path = folder / LEDGER_FILE
        self._options = json.loads(json.dumps(options))
        self._entries = _read(self._path) if keep else {}
        write_text_atomically(self._path, "".join(map(_line, self._entries.values())))

    def is_current(self, item: Input) -> bool:
        """Whether the result was made from the file as it is, with these options."""
        return self._entries.get(item.name) == self._entry(item)

    def other_options(self, items: Iterable[Input]) -> tuple[int, list[str]]:
        """How many results of unchanged files were made with other options, and with which."""
        count, names = 0, set()
        for item in items:
            entry = self._entries.get(item.name)
            if entry is None or entry | {"options": None} != self._entry(item) | {"options": None}:
                continue
            options = entry.get("options")
            if isinstance(options, dict) and options != self._options:
                count += 1
                keys = options.keys() | self._options.keys()
                names |= {key for key in keys if options.get(key) != self._options.get(key)}
        return count, sorted(names)

    def add(self, item: Input) -> None:
        """Note that the result of a file is there.

        Raises:
            AvtError: the note cannot be written.
        """
        self._entries[item.name] = self._entry(item)
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(_line(self._entries[item.name]))
        except OSError as error:
            raise AvtError(f"cannot write {self._path}: {error.strerror}.") from error

    def _entry(self, item: Input) -> dict[str, Any]:
        return {
            "name": item.name,
            "media": os.path.abspath(item.media),
            "size": item.size,
            "mtime_ns": item.mtime_ns,
            "options": self._options,
        }


def _line(entry: Mapping[str, Any]) -> str:
    return f"{json.dumps(entry)}\n"  # ASCII, so that the undecodable bytes of names come back


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """The entries by name; of several the last, and none of damaged lines."""
    entries: dict[str, dict[str, Any]] = {}
    try:
        text = path.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return entries
    except OSError as error:
        raise AvtError(f"{path} cannot be read ({error.strerror}); leave out --resume.") from error
    for line in text.splitlines():
        with suppress(ValueError, TypeError, KeyError):
            entry = json.loads(line)
            entries[entry["name"]] = entry
    return entries
