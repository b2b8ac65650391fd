"""What a worker of a cluster does with a task: as a process of the local pool would."""

from __future__ import annotations

import os
import pickle
import threading
from contextlib import chdir
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from avt_memocmt.errors import AvtError
from avt_memocmt.version import __version__
from avt_memocmt.workers import fix_threads

_one_at_a_time = threading.Lock()
"""A worker may have several threads, but detectors and encoders keep a state while they work."""


@dataclass(frozen=True)
class Terms:
    """What a worker needs in common with the process that sends it tasks.

    Attributes:
        version: of this package.
        folder: in which the command was started; relative paths begin there.
        shared: paths that the worker must see.
    """

    version: str
    folder: str
    shared: tuple[str, ...]


def run_task(terms: Terms, call: bytes) -> Any:
    """Do a task in a worker, as a process of the local pool would.

    Args:
        terms: of the process that sends it.
        call: pickle of a function, its arguments and its named arguments.

    Raises:
        AvtError: the worker does not fit that process.
    """
    with _one_at_a_time:
        _require(terms)
        fix_threads()
        with chdir(terms.folder):
            do, args, kwargs = pickle.loads(call)
            return do(*args, **kwargs)


@lru_cache(maxsize=8)
def _require(terms: Terms) -> None:
    from distributed import get_worker

    name = get_worker().address
    if terms.version != __version__:
        raise AvtError(
            f"the worker {name} has version {__version__} of avt-memocmt, and this is "
            f"{terms.version}; install the same one on every machine."
        )
    for path in (terms.folder, *terms.shared):
        if not os.path.exists(path):
            raise AvtError(
                f"the worker {name} does not see {path}, which this machine does; put media and "
                "results into a folder that all machines share under the same path, and start the "
                "command there."
            )
