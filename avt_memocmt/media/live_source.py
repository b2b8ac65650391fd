"""Live sources: cameras, microphones and network streams; those with an end are read as files."""

from __future__ import annotations

import math
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from itertools import count

import av
from av.container import InputContainer

from avt_memocmt.errors import AvtError
from avt_memocmt.media.address import (
    NETWORK_TIMEOUT,
    has_end,
    is_address,
    may_be_recording,
    open_address,
    reason,
)
from avt_memocmt.media.backlog import Backlog, Event
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.media.types import AudioChunk, VideoFrame

LONGEST_WAIT = 30.0
"""Longest time in seconds between two attempts to reach a lost source."""
MOST_FRUITLESS = 4
"""Attempts after which a source that never yielded anything is given up."""
MOST_AHEAD = 10.0
"""Seconds by which a network stream may be ahead of the clock; a live one begins with a burst."""
DRIFT = 0.2
"""Seconds by which the times of a device may differ from this machine's clock before they are
shifted to it."""

_DEVICE = re.compile(r"(camera|microphone)(?::(.+))?")
# FFmpeg's input devices by platform: cameras, then microphones.
_DEVICE_FORMATS = {
    "linux": (("v4l2", "/dev/video{}"), ("alsa", "{}")),
    "darwin": (("avfoundation", "{}:none"), ("avfoundation", "none:{}")),
    "win32": (("dshow", "video={}"), ("dshow", "audio={}")),
}
_DEFAULT_DEVICES = {"linux": ("0", "default"), "darwin": ("0", "0"), "win32": (None, None)}


def is_live(name: str) -> bool:
    """Whether a source is a device or a network stream, not a file."""
    return is_address(name) or all(_DEVICE.fullmatch(part) for part in name.split("+"))


def open_source(
    name: str,
    frames_per_second: float,
    warn: Callable[[str], None],
    *,
    needs_end: bool,
    audio_track: int | None = None,
    between: float = 0.0,
) -> MediaReader | LiveSource:
    """Open a file or a film on a server, which have an end, or else a live source.

    Args:
        name: a file, or what `LiveSource` takes.
        frames_per_second: as of `LiveSource`.
        warn: as of `LiveSource`.
        needs_end: refuse a live source.
        audio_track: as of `MediaReader`; a live source has no choice of them.
        between: as of `MediaReader`.

    Raises:
        AvtError: it cannot be opened, or has no end and needs one.
    """
    if not is_live(name):
        return MediaReader(name, frames_per_second, audio_track=audio_track, between=between)
    container = open_address(name) if is_address(name) else None
    if container is not None and has_end(container):
        return MediaReader(
            name,
            frames_per_second,
            audio_track=audio_track,
            between=between,
            container=container,
        )
    if audio_track is not None:
        raise AvtError(f"{name} is live; --audio-track is for files and films.")
    if needs_end:
        raise AvtError(f"{name} is live; --fast and captions are for files and films.")
    return LiveSource(name, frames_per_second, warn, container, between)


class LiveSource:
    """A camera, a microphone, both, or a network stream; a lost one is opened again.

    Times count from the creation of the source, by this machine's clock: two devices stay in step,
    and an interruption is a gap in the times. A stream that a server sends anew from its first
    second is a recording, and ends.

    Args:
        name: "camera", "microphone" or "camera+microphone", each with ":" and the number or name
            of a device if not the default; or a URL such as rtsp://host/path.
        frames_per_second: pictures sampled each second.
        warn: called with a sentence when the source is lost, and why, or found again.
        container: the network stream, where it is open already.
        between: as of `MediaReader`; a camera without a microphone yields none.

    Attributes:
        has_audio: whether it has sound.
        has_video: whether it has pictures.

    Raises:
        AvtError: it cannot be opened.
    """

    def __init__(
        self,
        name: str,
        frames_per_second: float,
        warn: Callable[[str], None] = lambda text: None,
        container: InputContainer | None = None,
        between: float = 0.0,
    ) -> None:
        self.name = name
        self._between = between if name != name.split("+")[0] or is_address(name) else 0.0
        self._rate = frames_per_second
        self._warn = warn
        self._began = time.monotonic()
        self._stopped = threading.Event()
        self._url = name if is_address(name) else None
        self._parts = [name] if self._url else name.split("+")
        self._reached = dict.fromkeys(self._parts, 0.0)
        self._beginnings: dict[str, _Beginning] = {}
        self._readers = [self._open(part, container) for part in self._parts]
        self.has_audio = any(reader.info.has_audio for reader in self._readers)
        self.has_video = any(reader.info.has_video for reader in self._readers)

    def fill(self, backlog: Backlog) -> None:
        """Add what every device yields to the backlog, each in a thread, until `stop`."""
        for part, reader in zip(self._parts, self._readers, strict=True):
            backlog.read_in_background(self._events(part, reader))

    def stop(self) -> None:
        """Make the threads end with the event they read next."""
        self._stopped.set()

    def _events(self, part: str, first: MediaReader) -> Iterator[Event]:
        """What a part yields, connection after connection.

        Raises:
            AvtError: nothing that can be decoded ever came.
        """
        reader: MediaReader | None = first
        wait, why = 1.0, ""
        for attempt in count(1):
            if reader is not None:
                before = self._reached[part]
                why = yield from self._connection(part, reader)
                wait = 1.0 if self._reached[part] > before else wait
            if self._stopped.is_set():
                return
            if attempt >= MOST_FRUITLESS and not self._reached[part]:
                raise AvtError(
                    f"{part} is given up after {attempt} attempts: nothing that can be decoded "
                    f"came ({why}); check it with a media player."
                )
            self._warn(f"{part} is lost ({why}); trying again in {wait:g} s.")
            if self._stopped.wait(wait):
                return
            wait = min(2 * wait, LONGEST_WAIT)
            try:
                reader = self._open(part)
            except AvtError as error:
                reader, why = None, str(error).rstrip(".")

    def _connection(self, part: str, reader: MediaReader) -> Generator[Event, None, str]:
        """What a part yields until the connection is lost; returns why it was."""
        is_first = not self._reached[part]
        beginning = self._beginnings.get(part)
        if beginning is not None:
            beginning.look()
        try:
            for number, event in enumerate(self._timed(part, reader.events())):
                if beginning is not None and beginning.is_repeated(event):
                    self._warn(f"{part} begins anew, so it is a recording and has ended.")
                    self._stopped.set()
                if self._stopped.is_set():
                    break
                if number == 0 and not is_first:
                    self._warn(f"{part} is back.")
                yield event
        except AvtError as error:
            return reader.lost or str(error).rstrip(".")
        finally:
            reader.close()
        return reader.lost or "the other side ended it"

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
                event = replace(event, time=start + shift)
            else:
                event = AudioChunk(start + shift, event.samples)
            if part == self._url:
                self._stopped.wait(max(0.0, event.end - now - MOST_AHEAD))
            self._reached[part] = max(self._reached[part], event.end)
            yield event

    def _open(self, part: str, container: InputContainer | None = None) -> MediaReader:
        if container is None:
            container = open_address(part) if part == self._url else _open_device(part)
        if part == self._url and may_be_recording(part, container):
            self._beginnings.setdefault(part, _Beginning())
        return MediaReader(part, self._rate, between=self._between, container=container)


class _Beginning:
    """How a source begins; only a recording begins with the same sound or picture again."""

    def __init__(self) -> None:
        self._known: bytes | None = None
        self._looks = False

    def look(self) -> None:
        """Compare the next event that is neither silence nor a plain picture."""
        self._looks = True

    def is_repeated(self, event: Event) -> bool:
        """Whether an event is what an earlier connection began with."""
        values = event.image if isinstance(event, VideoFrame) else event.samples
        if not self._looks or not values.size or values.min() == values.max():
            return False
        self._looks = False
        content = values.tobytes()
        if self._known is None:
            self._known = content
            return False
        return content == self._known


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
            f"the {match[1]} {path} cannot be opened ({reason(error)}); check that it is plugged "
            "in, allowed, and not in use."
        ) from error
