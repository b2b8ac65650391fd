"""The folder that results are written into."""

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
