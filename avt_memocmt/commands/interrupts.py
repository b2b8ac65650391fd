"""Signals that end a command: it stops in order, as at Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Terminated(KeyboardInterrupt):
    """A signal that asks the process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def exit_status(interrupt: KeyboardInterrupt) -> int:
    """The status of a process that was interrupted, as a shell counts it: 130 for Ctrl-C."""
    number = interrupt.number if isinstance(interrupt, _Terminated) else signal.SIGINT
    return 128 + number


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Let the signals that end a process, or close its terminal, interrupt it as Ctrl-C does."""

    def interrupt(number: int, frame: object) -> None:
        raise _Terminated(number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores
                before[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
