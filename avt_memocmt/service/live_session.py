"""Live sessions: one process each, which outlives a lost connection for a while."""

from __future__ import annotations

import asyncio
import math
import os
import secrets
import threading
from collections import deque
from typing import Any

from prometheus_client import Gauge
from starlette.concurrency import run_in_threadpool

from avt_memocmt.errors import AvtError
from avt_memocmt.service.child import Child, Message
from avt_memocmt.service.live_worker import run_live

RESUME = 30.0
"""Seconds for which a session waits for a connection that was lost."""
MOST_KEPT = 1000
"""Messages that are kept for a client that is slow or comes back."""
SPARE = 120.0
"""Seconds for which a process that was started ahead of a session waits for one."""
_FLUSH = 20.0  # seconds that the last decisions may take

Numbered = tuple[int, Message]


class LiveSession:
    """What one browser records, and what is decided on it.

    To be made in the event loop, where everything but its reader thread runs.

    Args:
        child: its process.

    Attributes:
        id: by which a client comes back; cannot be guessed.
        dropped: messages that a slow client did not get.
        is_stopping: whether its client has ended it.
    """

    def __init__(self, child: Child) -> None:
        self.id = secrets.token_hex(16)
        self.dropped = 0
        self.is_stopping = False
        self._child = child
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._messages: deque[Numbered] = deque(maxlen=MOST_KEPT)
        self._sequence = 0
        self._changed = asyncio.Event()
        self._ended = False
        self._owner: object | None = None
        self._recorded = False
        threading.Thread(target=self._read, daemon=True, name="live session").start()

    @property
    def has_ended(self) -> bool:
        """Whether no more messages come."""
        return self._ended

    async def ready(self) -> None:
        """Wait until the process has loaded its networks.

        Raises:
            AvtError: it could not.
        """
        await asyncio.shield(self._ready)

    async def start(self, mime: str, options: dict[str, Any]) -> None:
        """Begin with a first recording."""
        await self._send({"start": {"mime": mime, "options": options}})

    async def push(self, data: bytes) -> None:
        """Pass bytes on; waits where the process is behind, and lets the browser wait with it."""
        self._recorded = True
        await self._send(data)

    async def stop(self) -> None:
        """Decide on what was recorded so far, and end."""
        self.is_stopping = True
        await self._send({"stop": True})

    def attach(self, owner: object) -> None:
        """Make a connection the one that the session has; an older one finds itself replaced."""
        self._owner = owner
        self._changed.set()

    async def resume(self) -> None:
        """Expect a new recording, with a header of its own."""
        if self._recorded:
            await self._send({"restart": True})

    def detach(self, owner: object) -> bool:
        """Lose a connection; False where another one has taken its place."""
        if self._owner is not owner:
            return False
        self._owner = None
        return True

    async def messages(self, since: int, owner: object) -> Message | None:
        """The next message after a number; None where there will be none, or not for this owner.

        Args:
            since: number of the last one that the client has.
            owner: connection that asks.
        """
        while self._owner is owner:
            for number, message in self._messages:
                if number > since:
                    self.dropped += max(0, number - since - 1)
                    return {**message, "sequence": number}
            if self._ended:
                return None
            self._changed.clear()
            await self._changed.wait()
        return None

    @property
    def is_attached(self) -> bool:
        """Whether it has a connection."""
        return self._owner is not None

    async def end_by(self, seconds: float) -> None:
        """Wait for the last message, then end the process."""
        deadline = self._loop.time() + seconds
        while not self._ended and self._loop.time() < deadline:
            await asyncio.sleep(0.05)
        self.kill()

    def kill(self) -> None:
        """End the process at once."""
        self._child.kill()

    async def _send(self, message: Message | bytes) -> None:
        if not self._ended:
            await run_in_threadpool(self._child.send, message)

    def _read(self) -> None:
        """Take what the process says, in a thread."""
        try:
            self._child.start()
            while True:
                message = self._child.receive(math.inf)
                if message is None:
                    continue
                self._tell(message)
                if "end" in message or "failed" in message:
                    break
        except AvtError as error:
            self._tell({"failed": str(error)})
        finally:
            self._child.stop()

    def _tell(self, message: Message) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._take, message)

    def _take(self, message: Message) -> None:
        if "ready" in message:
            if not self._ready.done():
                self._ready.set_result(None)
            return
        if "failed" in message:
            if not self._ready.done():
                self._ready.set_exception(AvtError(message["failed"]))
                self._ready.exception()  # it is seen, even if nobody waits for it
            self._add({"type": "warning", "text": message["failed"]})
        elif "warning" in message:
            self._add({"type": "warning", "text": message["warning"]})
        elif "decision" in message:
            self._add({"type": "decision", **message["decision"]})
        self._ended = "failed" in message or "end" in message
        self._changed.set()

    def _add(self, message: Message) -> None:
        self._sequence += 1
        self._messages.append((self._sequence, message))


class LiveSessions:
    """A bounded number of sessions.

    Args:
        most: of them at a time.
        max_memory: bytes of resident memory of the process of one.
        count: gauge of how many there are.
    """

    def __init__(self, most: int, max_memory: int, count: Gauge) -> None:
        self._most, self._max_memory, self._count = most, max_memory, count
        self._sessions: dict[str, LiveSession] = {}
        self._spare: Child | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def prepare(self) -> None:
        """Start a process ahead of a session that is likely to come: loading takes seconds."""
        if self._spare is None and len(self._sessions) < self._most:
            self._spare = self._child()
            self._in_background(self._keep(self._spare))

    def new(self) -> LiveSession:
        """Start a session.

        Raises:
            AvtError: there are too many.
        """
        if len(self._sessions) >= self._most:
            raise AvtError(
                f"{self._most} live sessions are open, which is all that this service takes; end "
                "one of them first."
            )
        child, self._spare = self._spare or self._child(), None
        session = LiveSession(child)
        self._sessions[session.id] = session
        self._count.set(len(self._sessions))
        return session

    def known(self, session_id: str) -> LiveSession:
        """The session of a client that comes back.

        Raises:
            AvtError: it has ended.
        """
        session = self._sessions.get(session_id)
        if session is None or session.has_ended:
            raise AvtError("the session has ended; start a new one.")
        return session

    def finish(self, session: LiveSession) -> None:
        """End a session once its last decision is there."""
        self._in_background(self._finish(session))

    def wait_for_return(self, session: LiveSession) -> None:
        """End a session unless its client comes back in time."""
        self._in_background(self._wait(session))

    async def close(self) -> None:
        """End all of them at once."""
        for task in self._tasks:
            task.cancel()
        for session in list(self._sessions.values()):
            self._forget(session)
        if self._spare is not None:
            await run_in_threadpool(self._spare.stop)

    def _child(self) -> Child:
        threads = max(1, (os.cpu_count() or 1) // 2)
        return Child(run_live, (threads,), self._max_memory)

    async def _keep(self, child: Child) -> None:
        await run_in_threadpool(child.start)
        await asyncio.sleep(SPARE)
        if self._spare is child:
            self._spare = None
            await run_in_threadpool(child.stop)

    async def _wait(self, session: LiveSession) -> None:
        for _ in range(round(RESUME / 0.5)):
            await asyncio.sleep(0.5)
            if session.is_attached or session.has_ended:
                break
        if not session.is_attached:
            self._forget(session)

    async def _finish(self, session: LiveSession) -> None:
        await session.end_by(_FLUSH)
        self._forget(session)

    def _forget(self, session: LiveSession) -> None:
        session.kill()
        self._sessions.pop(session.id, None)
        self._count.set(len(self._sessions))

    def _in_background(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
