"""A stream of sound and pictures cut into utterances, in bounded memory."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.config import Config
from avt_memocmt.inference.utterances import Utterance, UtteranceBuilder
from avt_memocmt.media.frame_sampler import FrameSampler
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.media.types import SAMPLE_RATE, AudioChunk, VideoFrame
from avt_memocmt.preprocessing.audio_preprocess_vad import CausalSegmenter, Segment
from avt_memocmt.preprocessing.face_tracker import FaceTracker
from avt_memocmt.preprocessing.transcripts import Cue

VIDEO_LAG = 5.0
"""Seconds of sound read beyond an utterance's end before its pictures are no longer waited for."""


Progress = Callable[[float, float | None], None]
"""Called with the seconds read so far and those in all, None where the file does not say."""


class UtteranceStream:
    """Cuts sound and pictures into utterances as they arrive, by voice activity.

    Args:
        config: of the checkpoint.
        tracker: follows the face; reset before use.
        has_audio: whether the media has sound; without it, one long quiet is cut.
        has_video: whether it has pictures.

    Attributes:
        latest: seconds read so far.
    """

    def __init__(
        self, config: Config, tracker: FaceTracker, has_audio: bool, has_video: bool
    ) -> None:
        self._config = config
        self._tracker = tracker
        self._has_audio = has_audio
        self._builder = UtteranceBuilder(config, has_audio, has_video)
        self._segmenter = CausalSegmenter(config.audio.segmentation)
        self._waiting: deque[Segment] = deque()
        self._clock = _Clock(has_audio, has_video, config.visual.frames_per_second)

    @property
    def latest(self) -> float:
        """Seconds from the start of the media."""
        return self._clock.latest

    def push(self, event: AudioChunk | VideoFrame) -> list[Utterance]:
        """Take what comes next and return the utterances that are complete with it."""
        self._clock.advance(event)
        if isinstance(event, VideoFrame):
            self._builder.see(self._tracker.push(event))
            if not self._has_audio:
                self._waiting.extend(self._segmenter.push(_silence(self._clock)))
        else:
            self._waiting.extend(self._segmenter.push(event))
        found = []
        while self._waiting and self._clock.has_passed(self._waiting[0].end):
            found.append(_from_segment(self._builder, self._waiting.popleft()))
        return found

    def flush(self, duration: float | None = None) -> list[Utterance]:
        """End the stream and return what is left.

        Args:
            duration: of the media in seconds, where it says; counts where there is no sound.
        """
        if not self._has_audio:
            last = self._clock.latest + 1 / self._config.visual.frames_per_second
            self._clock.latest = max(duration or 0.0, last)
            self._waiting.extend(self._segmenter.push(_silence(self._clock)))
        self._waiting.extend(self._segmenter.flush())
        found = [_from_segment(self._builder, segment) for segment in self._waiting]
        self._waiting.clear()
        return found

    def under_way(self) -> Utterance | None:
        """The utterance that is being spoken, as far as it was heard and seen; None in quiet."""
        segment = None if self._waiting else self._segmenter.under_way()
        return None if segment is None else _from_segment(self._builder, segment)


class CueStream:
    """Cuts sound and pictures into utterances as they arrive, at the times of captions.

    Args:
        config: of the checkpoint.
        tracker: follows the face; reset before use.
        has_audio: whether the media has sound.
        has_video: whether it has pictures.
        cues: with start and end, in time order.
    """

    def __init__(
        self,
        config: Config,
        tracker: FaceTracker,
        has_audio: bool,
        has_video: bool,
        cues: Sequence[Cue],
    ) -> None:
        self._tracker = tracker
        self._builder = UtteranceBuilder(config, has_audio, has_video)
        self._sound = _RecentSound()
        self._waiting = deque(cues)
        self._clock = _Clock(has_audio, has_video, config.visual.frames_per_second)

    @property
    def latest(self) -> float:
        """Seconds from the start of the media."""
        return self._clock.latest

    def push(self, event: AudioChunk | VideoFrame) -> list[Utterance]:
        """Take what comes next and return the utterances that are complete with it."""
        self._clock.advance(event)
        if isinstance(event, VideoFrame):
            self._builder.see(self._tracker.push(event))
        else:
            self._sound.push(event)
            self._sound.forget_before(_span(self._waiting[0])[0] if self._waiting else math.inf)
        found = []
        while self._waiting and self._clock.has_passed(_span(self._waiting[0])[1]):
            found.append(self._finish(self._waiting.popleft()))
        return found

    def flush(self, duration: float | None = None) -> list[Utterance]:
        """End the stream and return what is left of the cues that were reached."""
        left = [cue for cue in self._waiting if _span(cue)[0] < self._clock.latest]
        self._waiting.clear()
        return [self._finish(cue) for cue in left]

    def under_way(self) -> Utterance | None:
        """The cue that is being spoken, as far as it was heard and seen, with all its words."""
        start = _span(self._waiting[0])[0] if self._waiting else math.inf
        if start >= self.latest:
            return None
        cue, sound = self._waiting[0], self._sound.window(start, self.latest)
        return self._builder.build(start, self.latest, sound, text=cue.text, speaker=cue.speaker)

    def _finish(self, cue: Cue) -> Utterance:
        start, end = _span(cue)
        samples = self._sound.window(start, end)
        self._sound.forget_before(start)
        return self._builder.build(start, end, samples, text=cue.text, speaker=cue.speaker)


def segment_media(
    reader: MediaReader, tracker: FaceTracker, config: Config, progress: Progress
) -> Iterator[Utterance]:
    """Utterances by voice activity, causally, and the quiet stretches between them.

    Args:
        reader: a video or audio file, not read yet.
        tracker: follows the face; reset before use.
        config: of the checkpoint.
        progress: see `Progress`.
    """
    info = reader.info
    stream = UtteranceStream(config, tracker, info.has_audio, info.has_video)
    return _read_through(reader, stream, progress)


def cue_media(
    reader: MediaReader,
    tracker: FaceTracker,
    config: Config,
    cues: Sequence[Cue],
    progress: Progress,
) -> Iterator[Utterance]:
    """Utterances at the times of a transcript's cues.

    Args:
        cues: with start and end, in time order; other arguments as in `segment_media`.
    """
    info = reader.info
    stream = CueStream(config, tracker, info.has_audio, info.has_video, cues)
    return _read_through(reader, stream, progress)


def _read_through(
    reader: MediaReader, stream: UtteranceStream | CueStream, progress: Progress
) -> Iterator[Utterance]:
    for event in reader.events_ahead():
        found = stream.push(event)
        progress(stream.latest, reader.info.duration)
        yield from found
    yield from stream.flush(reader.info.duration)


class _Clock:
    """How far each stream has been read, in seconds."""

    def __init__(self, has_audio: bool, has_video: bool, frames_per_second: float) -> None:
        self.heard = -math.inf if has_audio else math.inf
        self.latest = 0.0
        self._next_picture = -math.inf if has_video else math.inf
        self._ticks = FrameSampler(frames_per_second)
        self._silent_until = 0.0

    def advance(self, event: AudioChunk | VideoFrame) -> None:
        if isinstance(event, VideoFrame):
            self._next_picture = self._ticks.next_after(event.time)
            self.latest = max(self.latest, event.time)
        else:
            self.heard = event.end
            self.latest = max(self.latest, event.end)

    def has_passed(self, time: float) -> bool:
        """Whether nothing up to this time is still to come, or the pictures lag by `VIDEO_LAG`."""
        return self.heard >= time and (self._next_picture > time or self.heard >= time + VIDEO_LAG)

    def take_silence(self) -> tuple[float, float]:
        """The stretch without a sound track since the last call."""
        stretch = (self._silent_until, self.latest)
        self._silent_until = self.latest
        return stretch


class _RecentSound:
    """The sound that utterances to come may need."""

    def __init__(self) -> None:
        self._chunks: deque[AudioChunk] = deque()

    def push(self, chunk: AudioChunk) -> None:
        self._chunks.append(chunk)

    def forget_before(self, time: float) -> None:
        while self._chunks and self._chunks[0].end <= time:
            self._chunks.popleft()

    def window(self, start: float, end: float) -> NDArray[np.float32]:
        """float32 [n] between two times, zeros where nothing was heard in between."""
        chunks = [c for c in self._chunks if c.start < end and c.end > start]
        if not chunks:
            return np.zeros(0, dtype=np.float32)
        first = max(start, chunks[0].start)
        last = min(end, chunks[-1].end)
        out = np.zeros(max(0, round((last - first) * SAMPLE_RATE)), dtype=np.float32)
        for chunk in chunks:
            offset = round((chunk.start - first) * SAMPLE_RATE)
            part = chunk.samples[max(0, -offset) :][: max(0, len(out) - max(0, offset))]
            out[max(0, offset) : max(0, offset) + len(part)] = part
        return out


def _silence(clock: _Clock) -> AudioChunk:
    start, end = clock.take_silence()
    return AudioChunk(start, np.zeros(round((end - start) * SAMPLE_RATE), dtype=np.float32))


def _from_segment(builder: UtteranceBuilder, segment: Segment) -> Utterance:
    return builder.build(segment.start, segment.end, segment.samples, is_speech=segment.is_speech)


def _span(cue: Cue) -> tuple[float, float]:
    if cue.start is None or cue.end is None:
        raise ValueError("a cue without times cannot be placed")
    return cue.start, cue.end
