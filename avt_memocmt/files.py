"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from avt_memocmt.errors import AvtError


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file by way of a temporary one beside it.

    Raises:
        AvtError: the folder is missing or cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(data)
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise AvtError(f"cannot write {path}: {error.strerror}.") from error
