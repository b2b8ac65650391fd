"""A live source whose bytes a program pushes while they are recorded, as a browser does."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace

import av
from av.container import InputContainer

from avt_memocmt.errors import AvtError
from avt_memocmt.media.backlog import Backlog, Event
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.media.types import AudioChunk, VideoFrame

MOST_WAITING = 16_000_000
"""Bytes that may wait to be decoded; with more, who writes waits."""
_KNOWN_ARRIVALS = 4096  # events, some minutes
# What FFmpeg reads before it yields anything; by default five seconds, which a live source lacks.
_AT_ONCE = {"analyzeduration": "100000", "probesize": "32768", "fpsprobesize": "0"}
_IN_MEMORY = {"protocol_whitelist": "crypto,data"}  # a container may name nothing else

FORMATS = {
    "video/webm": "matroska",
    "audio/webm": "matroska",
    "video/mp4": "mov",
    "audio/mp4": "mov",
    "audio/ogg": "ogg",
}
"""FFmpeg's names of what the MediaRecorders of browsers record, by the type they give."""


class ByteFeed:
    """Bytes on their way to a decoder: a file that is read while it is written, in bounded memory.

    Attributes:
        arrived: when the bytes that were read last were written, by `time.monotonic`.
    """

    def __init__(self) -> None:
        self.arrived = time.monotonic()
        self._chunks: deque[tuple[float, bytes] | None] = deque()  # None = the recording ends
        self._size = 0
        self._ended = False
        self._changed = threading.Condition()

    def write(self, data: bytes) -> None:
        """Add bytes; waits where too many wait."""
        with self._changed:
            while self._size > MOST_WAITING and not self._ended:
                self._changed.wait()
            if data and not self._ended:
                self._chunks.append((time.monotonic(), data))
                self._size += len(data)
                self._changed.notify_all()

    def restart(self) -> None:
        """What is written from here on is another recording, with a header of its own."""
        with self._changed:
            self._chunks.append(None)
            self._changed.notify_all()

    def end(self) -> None:
        """Nothing more comes."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def read(self, count: int) -> bytes:
        """At most so many bytes, as soon as there are some; none where the recording ends."""
        with self._changed:
            while not self._chunks and not self._ended:
                self._changed.wait()
            first = self._chunks[0] if self._chunks else None
            if first is None:
                return b""
            self.arrived, data = first
            if len(data) > count:
                self._chunks[0] = self.arrived, data[count:]
            else:
                self._chunks.popleft()
            self._size -= min(count, len(data))
            self._changed.notify_all()
            return data[:count]

    def next_recording(self) -> bool:
        """Go on to the recording that follows; waits for it. False where nothing more comes."""
        with self._changed:
            while True:
                while self._chunks:
                    if self._chunks.popleft() is None:
                        return True
                if self._ended:
                    return False
                self._changed.wait()


class PushedSource:
    """Sound and pictures of a feed, with one decoder for each recording in it.

    Times count from the first sound or picture. Those of a recording that follows another one go
    on after it, by this machine's clock: what was missed between is a gap.

    Args:
        feed: of a recording that has begun; its header is waited for.
        mime: type of the recording, one of `FORMATS`.
        frames_per_second: pictures sampled each second.
        between: as of `MediaReader`.

    Attributes:
        has_audio: whether it has sound.
        has_video: whether it has pictures.

    Raises:
        AvtError: the type is unknown, or the feed is no such recording.
    """

    def __init__(
        self, feed: ByteFeed, mime: str, frames_per_second: float, between: float = 0.0
    ) -> None:
        kind = mime.partition(";")[0].strip().lower()
        if kind not in FORMATS:
            raise AvtError(f"{kind[:40]!r} is not recorded by browsers; send {', '.join(FORMATS)}.")
        self._feed, self._format = feed, FORMATS[kind]
        self._rate, self._between = frames_per_second, between
        self._stopped = False
        self._began = math.nan
        self._reached = 0.0
        self._arrivals: deque[tuple[float, float]] = deque(maxlen=_KNOWN_ARRIVALS)
        self._looking = threading.Lock()
        self._first = self._open()
        self.has_audio = self._first.info.has_audio
        self.has_video = self._first.info.has_video

    def fill(self, backlog: Backlog) -> None:
        """Add what comes to the backlog, in a thread, until the feed ends or `stop`."""
        backlog.read_in_background(self._events())

    def stop(self) -> None:
        """Let the thread end with what it reads next."""
        self._stopped = True
        self._feed.end()

    def arrival(self, at: float) -> float | None:
        """When the bytes of a time came, by `time.monotonic`.

        Args:
            at: seconds of the stream.
        """
        with self._looking:
            return next((arrived for end, arrived in self._arrivals if end >= at - 1e-6), None)

    def _events(self) -> Iterator[Event]:
        reader = self._first
        while True:
            try:
                yield from self._timed(reader)
            finally:
                reader.close()
            if self._stopped or not self._feed.next_recording():
                return
            try:
                reader = self._open()
            except AvtError:
                if self._stopped or not self._feed.next_recording():
                    return
                reader = self._open()

    def _timed(self, reader: MediaReader) -> Iterator[Event]:
        shift = math.nan
        for event in reader.events():
            if self._stopped:
                return
            arrived = self._feed.arrived
            start = event.time if isinstance(event, VideoFrame) else event.start
            if math.isnan(shift):
                if math.isnan(self._began):
                    self._began = arrived
                shift = max(arrived - self._began, self._reached) - start
            if isinstance(event, VideoFrame):
                event = replace(event, time=start + shift)
            else:
                event = AudioChunk(start + shift, event.samples)
            self._reached = max(self._reached, event.end)
            with self._looking:
                self._arrivals.append((event.end, arrived))
            yield event

    def _open(self) -> MediaReader:
        try:
            container = av.open(
                self._feed,
                format=self._format,
                metadata_errors="replace",
                options=_AT_ONCE | _IN_MEMORY,
                buffer_size=4096,
            )
        except (av.FFmpegError, ValueError, OSError) as error:
            raise AvtError("what was sent is no recording of a browser; begin anew.") from error
        assert isinstance(container, InputContainer)
        return MediaReader("the recording", self._rate, between=self._between, container=container)
