"""Writes files whole or not at all."""

from __future__ import annotations

import csv
import io
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import RawIOBase
from pathlib import Path
from typing import Any

from avt_memocmt.errors import AvtError


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file by way of a temporary one beside it; an object store writes whole by itself.

    Raises:
        AvtError: the folder is missing or cannot be written.
    """
    if not isinstance(path, Path):
        _write_object(path, data)
        return
    with whole_file(path) as partial:
        partial.write_bytes(data)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file that takes the place of `path` when the block ends.

    Where the block fails or is interrupted, nothing is left of it.

    Raises:
        AvtError: the folder is missing or cannot be written.
    """
    # Two machines that write into one folder may have processes of the same number.
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.{os.getpid()}.part")
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:
        raise AvtError(f"cannot write {path}: {error.strerror}.") from error
    finally:
        with suppress(OSError):  # it is gone, or the folder is
            partial.unlink()


def _write_object(path: Any, data: bytes) -> None:
    """Write what lies at a URL; see `data.store_folder`."""
    try:
        path.write_bytes(data)
    except OSError as error:
        raise AvtError(f"cannot write {path}: {error.strerror or error}.") from error


def write_whole(file: RawIOBase, data: bytes) -> None:
    """Write all of some bytes to an unbuffered file, which may take a part at a time.

    Raises:
        OSError: they cannot be written; a part of them may be.
    """
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def write_text_atomically(path: Path, text: str) -> None:
    """Write text as UTF-8; bytes of file names that are none, become escapes. See above."""
    write_atomically(path, text.encode("utf-8", "backslashreplace"))


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Write a CSV file with a header; a column that a row lacks stays empty.

    Raises:
        AvtError: as of `write_atomically`.
    """
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(rows)
    write_text_atomically(path, buffer.getvalue())


def remove_partial_files(folder: Path, process: int | None = None) -> None:
    """Remove the temporary files of killed writers.

    Args:
        folder: where they lie; one that is not there holds none.
        process: the one that was killed; None = any, and no writer may be at work in the folder.
    """
    for pattern in (f".*.{process or '*'}.part", f".write-test-{process or '*'}"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)


def make_folder(path: str | Path) -> Path:
    """Make a folder, and those it lies in, if it is not there.

    Raises:
        AvtError: it cannot be made.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AvtError(f"cannot make the folder {folder}: {error.strerror}.") from error
    return folder


def writable_folder(path: Path) -> Path:
    """Create a folder for results and check, before any long work, that files can be put there.

    Raises:
        AvtError: it cannot be created or written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".write-test-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise AvtError(
            f"cannot write into {path} ({error.strerror or error}); give another output folder."
        ) from error
    return path
