"""Ends processes that a test would wait for in vain."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def killed_after(process: subprocess.Popen[str], seconds: float = 240) -> Iterator[None]:
    """Kill a process that this block still reads from after a time: its pipe then ends.

    Reading a line of a pipe has no limit of its own.
    """
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
