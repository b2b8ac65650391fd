"""What waits between a source and the recogniser, bounded; and files played in real time."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator

from avt_memocmt.media.types import SAMPLE_RATE, AudioChunk, VideoFrame

MOST_FRAMES = 8
"""Sampled pictures that may wait; with more, the oldest is dropped."""
MOST_BETWEEN = 50
"""Pictures between those that may wait, two seconds of them; with more, the oldest is dropped."""
MOST_SOUND = 30.0
"""Seconds of sound that may wait; with more, the oldest is dropped."""

Event = AudioChunk | VideoFrame


class Backlog:
    """A bounded, thread-safe queue of sound and pictures that drops the oldest first.

    Attributes:
        dropped_frames: sampled pictures dropped so far.
        dropped_sound: seconds of sound dropped so far.
    """

    def __init__(self) -> None:
        self.dropped_frames = 0
        self.dropped_sound = 0.0
        self._events: deque[Event] = deque()
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self._writers = 0
        self._closed = False

    def put(self, event: Event) -> None:
        """Add an event; where too many of its kind wait, the oldest is dropped."""
        with self._changed:
            self._events.append(event)
            if isinstance(event, VideoFrame):
                frames = [e for e in self._frames() if e.between == event.between]
                if len(frames) > (MOST_BETWEEN if event.between else MOST_FRAMES):
                    self._remove(frames[0])
                    self.dropped_frames += not event.between
            else:
                sound = [e for e in self._events if isinstance(e, AudioChunk)]
                if sum(len(c.samples) for c in sound) > MOST_SOUND * SAMPLE_RATE:
                    self._remove(sound[0])
                    self.dropped_sound += len(sound[0].samples) / SAMPLE_RATE
            self._changed.notify()

    def read_in_background(self, events: Iterator[Event]) -> None:
        """Add the events of an iterator in a new thread; `take` raises its error."""
        self._writers += 1

        def fill() -> None:
            try:
                for event in events:
                    self.put(event)
            except BaseException as error:
                self._error = error
            finally:
                with self._changed:
                    self._writers -= 1
                    self._changed.notify()

        threading.Thread(target=fill, daemon=True, name="source").start()

    def take(self) -> Iterator[tuple[Event, bool]]:
        """Yield events until the sources end, each with whether more are waiting."""
        while True:
            with self._changed:
                while not (self._events or self._closed or self._error) and self._writers:
                    self._changed.wait()
                if self._closed or not self._events:
                    break
                event, hurry = self._events.popleft(), bool(self._events)
            yield event, hurry
        if self._error is not None and not self._closed:
            raise self._error

    def close(self) -> None:
        """Make `take` end; may be called from a signal handler."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _frames(self) -> list[VideoFrame]:
        return [event for event in self._events if isinstance(event, VideoFrame)]

    def _remove(self, event: Event) -> None:
        # By identity: comparing arrays gives arrays.
        place = next(i for i, e in enumerate(self._events) if e is event)
        del self._events[place]


def in_real_time(events: Iterator[Event]) -> Iterator[Event]:
    """Yield events no earlier than their times, counted from the first call."""
    began = time.monotonic()
    for event in events:
        time.sleep(max(0.0, began + event.end - time.monotonic()))
        yield event
