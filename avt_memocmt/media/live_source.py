"""Live sources: cameras, microphones, network streams, and files played in real time."""

from __future__ import annotations

import math
import os
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

import av
from av.container import InputContainer

from avt_memocmt.errors import AvtError
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.media.types import SAMPLE_RATE, AudioChunk, VideoFrame

MOST_FRAMES = 8
"""Pictures that may wait; with more, the oldest is dropped."""
MOST_SOUND = 30.0
"""Seconds of sound that may wait; with more, the oldest is dropped."""
LONGEST_WAIT = 30.0
"""Longest time in seconds between two attempts to reach a lost source."""
NETWORK_TIMEOUT = 10.0
"""Seconds without data after which a network stream counts as lost."""
DRIFT = 0.2
"""Seconds by which the times of a device may differ from this machine's clock before they are
shifted to it."""

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_DEVICE = re.compile(r"(camera|microphone)(?::(.+))?")
# FFmpeg's input devices by platform: cameras, then microphones.
_DEVICE_FORMATS = {
    "linux": (("v4l2", "/dev/video{}"), ("alsa", "{}")),
    "darwin": (("avfoundation", "{}:none"), ("avfoundation", "none:{}")),
    "win32": (("dshow", "video={}"), ("dshow", "audio={}")),
}
_DEFAULT_DEVICES = {"linux": ("0", "default"), "darwin": ("0", "0"), "win32": (None, None)}

Event = AudioChunk | VideoFrame


class Backlog:
    """A bounded, thread-safe queue of sound and pictures that drops the oldest first.

    Attributes:
        dropped_frames: pictures dropped so far.
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
                frames = [e for e in self._events if isinstance(e, VideoFrame)]
                if len(frames) > MOST_FRAMES:
                    self._remove(frames[0])
                    self.dropped_frames += 1
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


def is_live(name: str) -> bool:
    """Whether a source is a device or a network stream, not a file."""
    return bool(_URL.match(name)) or all(_DEVICE.fullmatch(part) for part in name.split("+"))


class LiveSource:
    """A camera, a microphone, both, or a network stream; a lost one is opened again.

    Times count from the creation of the source, by this machine's clock: two devices stay in step,
    and an interruption is a gap in the times.

    Args:
        name: "camera", "microphone" or "camera+microphone", each with ":" and the number or name
            of a device if not the default; or a URL such as rtsp://host/path.
        frames_per_second: pictures sampled each second.
        warn: called with a sentence when the source is lost or found again.

    Attributes:
        has_audio: whether it has sound.
        has_video: whether it has pictures.

    Raises:
        AvtError: it cannot be opened.
    """

    def __init__(
        self, name: str, frames_per_second: float, warn: Callable[[str], None] = lambda text: None
    ) -> None:
        self.name = name
        self._rate = frames_per_second
        self._warn = warn
        self._began = time.monotonic()
        self._stopped = threading.Event()
        self._url = name if _URL.match(name) else None
        self._parts = [name] if self._url else name.split("+")
        self._reached = dict.fromkeys(self._parts, 0.0)
        self._readers = [self._open(part) for part in self._parts]
        self.has_audio = any(reader.info.has_audio for reader in self._readers)
        self.has_video = any(reader.info.has_video for reader in self._readers)

    def fill(self, backlog: Backlog) -> None:
        """Add what every device yields to the backlog, each in a thread, until `stop`."""
        for part, reader in zip(self._parts, self._readers, strict=True):
            backlog.read_in_background(self._events(part, reader))

    def stop(self) -> None:
        """Make the threads end with the event they read next."""
        self._stopped.set()

    def _events(self, part: str, reader: MediaReader | None) -> Iterator[Event]:
        wait = 1.0
        while not self._stopped.is_set():
            if reader is not None:
                try:
                    for event in self._timed(part, reader.events()):
                        wait = 1.0
                        yield event
                        if self._stopped.is_set():
                            return
                except AvtError:
                    pass
                finally:
                    reader.close()
            self._warn(f"{part} is lost; trying again in {wait:g} s.")
            if self._stopped.wait(wait):
                return
            wait = min(2 * wait, LONGEST_WAIT)
            try:
                reader = self._open(part)
                self._warn(f"{part} is back.")
            except AvtError:
                reader = None

    def _timed(self, part: str, events: Iterator[Event]) -> Iterator[Event]:
        """Shift events to this machine's clock, and behind those of the connection before.

        A device yields events at the time they happen; a network stream comes in bursts, so only
        its first event tells the time.
        """
        shift = math.nan
        for event in events:
            now = time.monotonic() - self._began
            start = event.time if isinstance(event, VideoFrame) else event.start
            if math.isnan(shift):
                shift = max(now, self._reached[part]) - start
            elif part != self._url and abs(start + shift - now) > DRIFT:
                shift = now - start
            if isinstance(event, VideoFrame):
                event = VideoFrame(start + shift, event.image)
            else:
                event = AudioChunk(start + shift, event.samples)
            self._reached[part] = max(self._reached[part], event.end)
            yield event

    def _open(self, part: str) -> MediaReader:
        container = _open_url(part) if part == self._url else _open_device(part)
        return MediaReader(part, self._rate, container=container)


def _open_url(url: str) -> InputContainer:
    try:
        return av.open(url, metadata_errors="replace", timeout=NETWORK_TIMEOUT)
    except (av.FFmpegError, ValueError, OSError) as error:
        raise AvtError(f"{url} cannot be reached ({_reason(error)}); check the address.") from error


def _open_device(part: str) -> InputContainer:
    match = _DEVICE.fullmatch(part)
    if match is None or sys.platform not in _DEVICE_FORMATS:
        raise AvtError(
            f"{part!r} is no source; give a file, a URL, camera, microphone or camera+microphone."
        )
    kind = 0 if match[1] == "camera" else 1
    device = match[2] or _DEFAULT_DEVICES[sys.platform][kind]
    if device is None:
        raise AvtError(f"give the {match[1]}'s name, as {match[1]}:NAME.")
    form, pattern = _DEVICE_FORMATS[sys.platform][kind]
    path = device if os.path.isabs(device) else pattern.format(device)
    try:
        return av.open(path, format=form, timeout=NETWORK_TIMEOUT)
    except (av.FFmpegError, ValueError, OSError) as error:
        raise AvtError(
            f"the {match[1]} {path} cannot be opened ({_reason(error)}); check that it is plugged "
            "in, allowed, and not in use."
        ) from error


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or repr(error)).splitlines()[0]
