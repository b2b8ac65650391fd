"""A process of the service's own, to which it speaks in JSON over a pipe.

JSON and not pickles, although `multiprocessing` offers them: the child decodes files of strangers,
and what took it over must not be able to run code in the service.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import psutil

from avt_memocmt.errors import AvtError
from avt_memocmt.workers import end_with_parent

Message = dict[str, Any]

MOST_MESSAGE = 64_000_000
"""Bytes of one message; a child that sends more is ended."""
POLL = 0.05
"""Seconds between two looks at the memory of a child."""


_DATA = b"\0"
"""Begins what is no JSON."""


class ChildEndedError(AvtError):
    """The process ended by itself or was ended from outside."""


class ChildStoppedError(AvtError):
    """The process was ended because it went beyond a limit; the message is for the user."""


class Child:
    """A process that answers messages; started anew where it has ended.

    Args:
        target: runs in the process with a `Pipe` and the arguments; a module's function.
        arguments: of `target`.
        max_memory: bytes of resident memory. Watched from here, because torch maps far more address
            space than it uses, so that a limit on that (`RLIMIT_AS`) stops nothing in time.
    """

    def __init__(
        self, target: Callable[..., None], arguments: tuple[Any, ...], max_memory: int
    ) -> None:
        self._target, self._arguments, self._max_memory = target, arguments, max_memory
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None
        self._watched: psutil.Process | None = None
        self._starting = threading.Lock()

    @property
    def pid(self) -> int | None:
        """Number of the process; None before it starts."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the process unless it runs."""
        with self._starting:
            if self._process is not None and self._process.is_alive():
                return
            self.stop()
            # Forking a process that runs threads may lock up.
            context = multiprocessing.get_context("spawn")
            self._connection, theirs = context.Pipe()
            self._process = context.Process(
                target=_run, args=(self._target, theirs, self._arguments), daemon=True
            )
            self._process.start()
            theirs.close()
            assert self._process.pid is not None
            self._watched = psutil.Process(self._process.pid)

    def send(self, message: Message | bytes) -> None:
        """Send a message, or bytes, to the process, which is started where it does not run.

        Raises:
            ChildEndedError: it ended.
        """
        self.start()
        assert self._connection is not None
        data = _DATA + message if isinstance(message, bytes) else json.dumps(message).encode()
        try:
            self._connection.send_bytes(data)
        except OSError as error:
            raise self._ended() from error

    def receive(self, deadline: float) -> Message | None:
        """The next message; None where none came for a moment, so that the caller may look around.

        Args:
            deadline: by `time.monotonic`, after which the process is ended.

        Raises:
            ChildEndedError: it ended.
            ChildStoppedError: it needed more memory or time than it may.
        """
        assert self._connection is not None
        try:
            if self._connection.poll(POLL):
                return json.loads(self._connection.recv_bytes(MOST_MESSAGE))
        except (EOFError, OSError, ValueError) as error:
            raise self._ended() from error
        if self._memory() > self._max_memory:
            self.stop()
            raise ChildStoppedError(
                f"the file needs more than the {self._max_memory / 1e9:.1f} GB of memory that one "
                "job may use; give a smaller picture or a shorter file."
            )
        if time.monotonic() > deadline:
            self.stop()
            raise ChildStoppedError("the file takes longer than one job may; give a shorter one.")
        return None

    def ask(self, message: Message, seconds: float) -> Message:
        """Send a message and wait for the answer.

        Raises:
            ChildEndedError: it ended.
            ChildStoppedError: it needed more memory than it may, or more than so many seconds.
        """
        self.send(message)
        deadline = time.monotonic() + seconds
        while (answer := self.receive(deadline)) is None:
            pass
        return answer

    def stop(self) -> None:
        """End the process at once."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
        if self._connection is not None:
            self._connection.close()
        self._process = self._connection = self._watched = None

    def kill(self) -> None:
        """End the process from another thread than the one that receives, which sees it end."""
        if (process := self._process) is not None:
            with contextlib.suppress(ValueError, AttributeError):  # it was closed meanwhile
                process.kill()

    def _memory(self) -> int:
        try:
            return self._watched.memory_info().rss if self._watched is not None else 0
        except psutil.Error:
            return 0  # it has ended, which the pipe says next

    def _ended(self) -> ChildEndedError:
        code = None
        if self._process is not None:
            self._process.join(5)
            code = self._process.exitcode
        self.stop()
        return ChildEndedError(f"the worker ended unexpectedly (exit status {code}).")


class Pipe:
    """The child's end."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()

    def receive(self) -> Message:
        """The next message; ends the process where the service has ended."""
        message = self.receive_any()
        assert isinstance(message, dict)
        return message

    def receive_any(self) -> Message | bytes:
        """The next message or bytes; ends the process where the service has ended."""
        try:
            received = self._connection.recv_bytes()
        except (EOFError, OSError):
            os._exit(0)
        return received[1:] if received.startswith(_DATA) else json.loads(received)

    def send(self, message: Message) -> None:
        """Send a message to the service; ends the process where that has ended."""
        try:
            with self._sending:
                self._connection.send_bytes(json.dumps(message).encode())
        except OSError:
            os._exit(0)


def _run(target: Callable[..., None], connection: Connection, arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the service ends its children
    with contextlib.suppress(AttributeError, ValueError):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=end_with_parent, daemon=True).start()
    target(Pipe(connection), *arguments)
