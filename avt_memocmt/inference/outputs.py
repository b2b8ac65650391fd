"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import os
from pathlib import Path

from avt_memocmt.errors import AvtError


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
            f"cannot write into {path} ({error.strerror}); give another output folder."
        ) from error
    return path


def write_text(path: Path, text: str) -> None:
    """Write a text file by atomic rename.

    Raises:
        AvtError: the disk is full or the place cannot be written to.
    """
    partial = path.with_name(f".{path.name}.part")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise AvtError(f"cannot write {path} ({error.strerror}).") from error
