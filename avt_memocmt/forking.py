"""What a forked process needs so that it does not wait for threads that only its parent has.

Linux forks by default up to Python 3.13 (`multiprocessing`), and so do gunicorn and celery. A fork
copies the memory of a process but only the thread that called it. PyTorch's and other libraries'
teams of threads are then waited for without an end, at their next use or when they are destroyed.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from typing import Any, Generic, TypeVar
from weakref import WeakSet

Made = TypeVar("Made")


class PerProcess(Generic[Made]):
    """Something with threads of its own: made at once, and anew where a forked process uses it.

    Args:
        make: makes it.
    """

    def __init__(self, make: Callable[[], Made]) -> None:
        self._make = make
        self._made: Made | None = make()
        _living.add(self)

    def get(self) -> Made:
        """The one of this process."""
        if self._made is None:
            self._made = self._make()
        return self._made

    def abandon(self) -> None:
        """Forget the parent's without destroying it, which would wait for the parent's threads."""
        if self._made is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._made))
        self._made = None


_living: WeakSet[PerProcess[Any]] = WeakSet()


def _begin_child() -> None:
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)  # alone it needs no team
    for held in _living:
        held.abandon()


if hasattr(os, "register_at_fork"):  # Windows never forks
    os.register_at_fork(after_in_child=_begin_child)
