"""What a worker is at."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from avt_memocmt.service.child import Message
from avt_memocmt.service.models import Job, Task
from avt_memocmt.service.time_left import TimeLeft


@dataclass
class Running:
    """A task that a worker is at.

    Attributes:
        progress: share that is done, 0 to 1; None before it is known.
        folder: for what the worker writes; None before it begins.
        since: when the task was given to the worker, by `time.monotonic`.
        stop: set to end it.
    """

    task: Task
    job: Job
    progress: float | None = None
    folder: Path | None = None
    since: float = field(default_factory=time.monotonic)
    stop: threading.Event = field(default_factory=threading.Event)
    _left: TimeLeft = field(default_factory=TimeLeft)

    def advance(self, said: Message) -> None:
        """Take what the worker says of its progress.

        Args:
            said: the share `progress`, and whether the rest goes on at this rate, `is_even`.
        """
        self.progress = float(said["progress"])
        if said["is_even"]:
            self._left.take(self.progress, time.monotonic())

    @property
    def seconds_left(self) -> float | None:
        """See `TimeLeft`."""
        return self._left.seconds
