"""Tells the pages that are open what changes, by server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

from avt_memocmt.service.models import Task

MOST_BEHIND = 500
"""Events that wait for a slow reader; with more it is cut off, connects anew and asks for all."""

Event = tuple[str, dict[str, Any]]


class Events:
    """Passes events on from any thread to the readers of the event loop.

    To be made in the event loop.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._readers: set[asyncio.Queue[Event | None]] = set()

    def publish(self, name: str, data: dict[str, Any]) -> None:
        """Tell every reader."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._spread, (name, data))

    def publish_explanation(self, task: Task, progress: float | None = None) -> None:
        """Tell every reader of the state of an explanation.

        Args:
            task: that makes it.
            progress: share of the film that was read for it; None before that is known.
        """
        data = {
            "job": task.job_id,
            "utterance": task.utterance,
            "state": str(task.state),
            "progress": progress,
        }
        self.publish("explanation", data)

    def close(self) -> None:
        """End every reader; may be called from any thread, and from a signal handler."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end)

    @contextmanager
    def reader(self) -> Iterator[AsyncIterator[Event]]:
        """Yield the events from now on; they end with the service, or if the reader is too slow."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue(MOST_BEHIND)
        self._readers.add(queue)
        try:
            yield _drain(queue)
        finally:
            self._readers.discard(queue)

    def _end(self) -> None:
        for queue in self._readers:
            _put_last(queue)

    def _spread(self, event: Event) -> None:
        for queue in self._readers:
            if queue.full():
                _put_last(queue)
            else:
                queue.put_nowait(event)


def _put_last(queue: asyncio.Queue[Event | None]) -> None:
    while not queue.empty():
        queue.get_nowait()
    queue.put_nowait(None)


async def _drain(queue: asyncio.Queue[Event | None]) -> AsyncIterator[Event]:
    while (event := await queue.get()) is not None:
        yield event
