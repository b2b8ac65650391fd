"""Where `avt-memocmt stream` puts its decisions: on stdout and in a file, line by line."""

from __future__ import annotations

from io import FileIO
from pathlib import Path

from avt_memocmt.commands.console import log, print_json
from avt_memocmt.errors import AvtError
from avt_memocmt.files import writable_folder, write_whole
from avt_memocmt.json_files import json_text


class LineOutput:
    """JSON Lines on stdout and, where one is named, in a file; losing one does not end the other.

    Attributes:
        failed: whether one could not be written.

    Args:
        path: of the file, or None.

    Raises:
        AvtError: the file cannot be made.
    """

    def __init__(self, path: Path | None) -> None:
        self.failed = False
        self._path = path
        self._is_read = True
        self._file: FileIO | None = None
        if path is not None:
            writable_folder(path.parent)
            try:
                self._file = FileIO(path, "w")
            except OSError as error:
                raise AvtError(f"cannot write {path}: {error.strerror}.") from error

    def __enter__(self) -> LineOutput:
        return self

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, value: object) -> None:
        """Write one line.

        Raises:
            AvtError: neither the file nor stdout can be written.
            BrokenPipeError: nobody reads stdout any more, and there is no file.
        """
        if self._file is not None:
            self._append(self._file, f"{json_text(value)}\n".encode())
        if not self._is_read:
            return
        try:
            print_json(value)
        except (AvtError, BrokenPipeError) as error:
            if self._file is None:
                raise
            self._is_read = False
            self._note(error)

    def _append(self, file: FileIO, line: bytes) -> None:
        end = file.tell()
        try:
            write_whole(file, line)
        except OSError as error:
            file.truncate(end)  # whole lines only
            file.close()
            self._file = None
            self._note(AvtError(f"cannot write {self._path} any further: {error.strerror}."))
            if not self._is_read:
                raise AvtError("nothing is left to write to.") from error

    def _note(self, error: Exception) -> None:
        """Say on stderr what was lost; a reader that left is no failure."""
        if isinstance(error, AvtError):
            self.failed = True
            log.print(f"failed: {error}", style="red")
