"""A Dask cluster as a pool of processes: machines that share the folders of media and results.

Names, words, settings and failures go over the wire; media are read and results written where the
work is. Scheduler and workers trust one another and this process, because Dask sends pickles.
"""

from __future__ import annotations

import logging
import os
import pickle
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from avt_memocmt.cluster.scheduler import ANSWER_WITHIN, connect, scheduler_address
from avt_memocmt.cluster.task import Terms, run_task
from avt_memocmt.errors import AvtError
from avt_memocmt.extras import require_extra
from avt_memocmt.files import writable_folder
from avt_memocmt.version import __version__
from avt_memocmt.workers import DeadWorkerError, worker_pool

if TYPE_CHECKING:
    from distributed import Client

LOOK_EVERY = 5.0
"""Seconds from one look at which workers are there to the next."""
PROBE_PREFIX = ".shared-"

_log = logging.getLogger(__name__)

Given = ParamSpec("Given")
Result = TypeVar("Result")


@contextmanager
def open_pool(
    workers: int, scheduler: str | None = None, shared: Sequence[Path] = ()
) -> Iterator[Executor]:
    """Yield processes of this machine, or a cluster where a scheduler is given.

    Args:
        workers: processes of this machine.
        scheduler: address of a Dask scheduler, or its file; see `scheduler_address`.
        shared: what the workers of a cluster must see; the first is the folder of the results.

    Raises:
        AvtError: as of `worker_pool` and `connected`.
    """
    if scheduler is None:
        with worker_pool(workers) as pool:
            yield pool
    else:
        with connected(scheduler, shared) as cluster:
            yield cluster


class Cluster(Executor):
    """The workers behind a scheduler; each does one task at a time, with the threads of a pool's.

    A task whose worker dies is done again by another. Workers may come and go.

    Args:
        client: connected to the scheduler.
        address: of the scheduler.
        terms: that every task checks first.
    """

    def __init__(self, client: Client, address: str, terms: Terms) -> None:
        self._client, self._address, self._terms = client, address, terms
        self._pool = client.get_executor(pure=False)
        self._workers = 0
        self._ended = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def ahead(self) -> int:
        """Tasks that are worth being submitted at once: one at work and one next, per worker."""
        return 2 * max(1, self._workers)

    def submit(
        self, fn: Callable[Given, Result], /, *args: Given.args, **kwargs: Given.kwargs
    ) -> Future[Result]:
        """See `Executor.submit`; the result may also raise `DeadWorkerError`.

        The function and what it is given travel in one pickle that only the worker opens.
        """
        call = pickle.dumps((fn, args, kwargs))
        sent = self._pool.submit(run_task, self._terms, call)
        handed: Future[Result] = Future()
        handed.set_running_or_notify_cancel()
        sent.add_done_callback(lambda done: _hand_over(done, handed))
        return handed

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; those that wait are dropped when the client closes."""
        self._ended.set()

    def _watch(self) -> None:
        """Say when there is no worker, and which ones have threads in vain."""
        told = set[str]()
        empty = 0  # looks in a row; the first may come before the workers
        while not self._ended.is_set():
            with suppress(Exception):  # a lost connection fails the tasks, which is told there
                threads = self._client.nthreads()
                self._workers = len(threads)
                empty = 0 if threads else empty + 1
                if empty == 2:
                    _log.info(
                        "no worker is there; start some with: dask worker %s --nthreads 1 "
                        "(waiting until Ctrl-C)",
                        self._address,
                    )
                for name in {name for name in threads if threads[name] > 1} - told:
                    told.add(name)
                    _log.info(
                        "the worker %s has %d threads and uses one; start it with --nthreads 1, "
                        "and as many --nworkers as it has processors",
                        name,
                        threads[name],
                    )
            self._ended.wait(LOOK_EVERY)


@contextmanager
def connected(scheduler: str, shared: Sequence[Path] = ()) -> Iterator[Cluster]:
    """Connect to a scheduler; tasks that wait are dropped when the block ends.

    Args:
        scheduler: see `scheduler_address`.
        shared: paths that every worker must see where this machine does; the first is the folder
            of the results, in which a file lies while the block lasts, by which workers know it.

    Raises:
        AvtError: the extra is not installed, no scheduler answers, the folder of the results cannot
            be written, a worker does not fit this process, or the connection was lost.
    """
    require_extra("cluster", ("distributed",), "--scheduler needs")
    address = scheduler_address(scheduler)
    client = connect(address)
    cluster = None
    try:
        with _probe(shared) as probes:
            folders = [path for path in shared if isinstance(path, Path) and path.exists()]
            seen = (*probes, *(str(path.absolute()) for path in folders))
            cluster = Cluster(client, address, Terms(__version__, os.getcwd(), seen))
            yield cluster
    except DeadWorkerError as error:
        raise AvtError(f"{error}; give the workers more memory, and run the command again.") from (
            error
        )
    except CancelledError as error:
        raise AvtError(
            "the connection to the scheduler was lost; the same command goes on from here when it "
            "is there again."
        ) from error
    finally:
        if cluster is not None:
            cluster.shutdown()
        with suppress(Exception):  # the scheduler may be gone
            client.close(timeout=ANSWER_WITHIN)


@contextmanager
def _probe(shared: Sequence[Path]) -> Iterator[list[str]]:
    """Put a file of a new name into the folder of the results; a folder of the same name is not it.

    Yields:
        Its path; nothing where the results go to a URL, or nowhere.
    """
    if not shared or not isinstance(shared[0], Path):
        yield []
        return
    folder = writable_folder(shared[0]).absolute()
    for left in folder.glob(f"{PROBE_PREFIX}*"):  # by a command that was killed
        left.unlink(missing_ok=True)
    path = folder / f"{PROBE_PREFIX}{uuid.uuid4().hex}"
    path.touch()
    try:
        yield [str(path)]
    finally:
        path.unlink(missing_ok=True)


def _hand_over(done: Future[Any], handed: Future[Any]) -> None:
    """Pass a result on, or why there is none."""
    if done.cancelled():
        handed.set_exception(CancelledError())
        return
    error = done.exception()
    if error is None:
        handed.set_result(done.result())
    else:
        handed.set_exception(_understood(error))


def _understood(error: BaseException) -> BaseException:
    """What an exception of Dask means, in this package's terms."""
    from distributed import KilledWorker

    if isinstance(error, KilledWorker):
        tried = error.allowed_failures + 1
        return DeadWorkerError(f"one task ended {tried} {'worker' if tried == 1 else 'workers'}")
    lacks_us = isinstance(error, ImportError) and (error.name or "").startswith("avt_memocmt")
    if lacks_us or (isinstance(error, RuntimeError) and "deserializ" in str(error)):
        return AvtError(
            "the scheduler or a worker cannot read what this version sends "
            f"({' '.join(str(error).split())[:200]}); install the same avt-memocmt[cluster] on "
            "every machine."
        )
    return error
