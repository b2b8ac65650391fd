"""Ends a run of the tests in which nothing happens any more, and says which tests were running.

A test that hangs is ended by pytest's `faulthandler_timeout`, inside its process. What hangs
elsewhere, as a process between two tests or one whose end nobody hears of, ends nothing by itself.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable

LIMIT = 1200.0
"""Seconds; more than `faulthandler_timeout`, so that the place of every thread is shown first."""


class SilenceWatch:
    """A plugin of the process that hears from all others which tests begin and end.

    Args:
        limit: seconds without a test that begins or ends.
        end: called then, with what to say.

    Attributes:
        thread: waits for tests; it ends with the run.
    """

    def __init__(self, limit: float, end: Callable[[str], None]) -> None:
        self._limit, self._end = limit, end
        self._running: dict[str, None] = {}
        self._heard, self._done = threading.Event(), False
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A test begins."""
        self._running[nodeid] = None
        self._heard.set()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """A test has ended."""
        self._running.pop(nodeid, None)
        self._heard.set()

    def pytest_unconfigure(self) -> None:
        """The run ends in order."""
        self._done = True
        self._heard.set()

    def _watch(self) -> None:
        while self._heard.wait(self._limit):
            self._heard.clear()
            if self._done:
                return
        self._end(f"no test began or ended for {self._limit:g} s; running: {self.running()}")

    def running(self) -> str:
        """The tests that have begun and not ended."""
        return ", ".join(list(self._running)) or "none"


def end_run(message: str) -> None:
    """End this process at once; the others hear of it by their pipes."""
    print(f"\n{message}", file=sys.__stderr__, flush=True)
    os._exit(1)
