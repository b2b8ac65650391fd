"""A stream of sound and pictures cut into utterances, in bounded memory."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.config import Config
from avt_memocmt.inference.found_speakers import UNCERTAIN, SpeakerLabels
from avt_memocmt.inference.shown_faces import ShownFaces
from avt_memocmt.inference.utterances import Utterance, UtteranceBuilder
from avt_memocmt.media.frame_sampler import FrameSampler
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.media.types import SAMPLE_RATE, AudioChunk, VideoFrame
from avt_memocmt.preprocessing.audio_preprocess import join_chunks
from avt_memocmt.preprocessing.audio_preprocess_vad import CausalSegmenter, Segment
from avt_memocmt.preprocessing.transcripts import Cue, group_cues, join_cues
from avt_memocmt.preprocessing.voice_detector import VoiceDetector

VIDEO_LAG = 5.0
"""Seconds of sound read beyond an utterance's end before its pictures are no longer waited for."""


Progress = Callable[[float, float | None], None]
"""Called with the seconds read so far and those in all, None where the file does not say."""


class UtteranceStream(ABC):
    """Cuts sound and pictures into utterances as they arrive.

    Args:
        config: of the checkpoint.
        shown: the faces on the screen; new.
        voices: confirms that there is a voice in what was taken for speech.
        has_audio: whether the media has sound.
        has_video: whether it has pictures.
        labels: says who speaks; None where nobody is to be told apart.

    Attributes:
        shown: the faces on the screen.
    """

    def __init__(
        self,
        config: Config,
        shown: ShownFaces,
        voices: VoiceDetector,
        has_audio: bool,
        has_video: bool,
        labels: SpeakerLabels | None = None,
    ) -> None:
        self.shown = shown
        self._labels = labels
        self._builder = UtteranceBuilder(config, has_audio, shown if has_video else None, voices)
        self._clock = _Clock(has_audio, has_video, config.visual.frames_per_second)

    @property
    def latest(self) -> float:
        """Seconds of the media read so far."""
        return self._clock.latest

    def push(self, event: AudioChunk | VideoFrame) -> list[Utterance]:
        """Take what comes next and return the utterances that are complete with it."""
        if isinstance(event, VideoFrame) and event.between:
            self.shown.glimpse(event)
            return []
        self._clock.advance(event)
        if isinstance(event, VideoFrame):
            self.shown.push(event)
        return self._cut(event)

    @abstractmethod
    def _cut(self, event: AudioChunk | VideoFrame) -> list[Utterance]: ...

    @abstractmethod
    def flush(self, duration: float | None = None) -> list[Utterance]:
        """End the stream and return the utterances that are left.

        Args:
            duration: of the media in seconds, where it is known; used where there is no sound.
        """

    @abstractmethod
    def under_way(self) -> Utterance | None:
        """The utterance that is being spoken, as far as it was heard and seen; None in silence."""

    @property
    def pending_silence(self) -> float:
        """Seconds for which who is speaking has paused; 0 where pauses end nothing."""
        return 0.0


class VoiceStream(UtteranceStream):
    """Cuts at pauses, by voice activity; also yields the silent stretches between utterances.

    A media without sound is cut as silence. Arguments as of `UtteranceStream`.
    """

    def __init__(
        self,
        config: Config,
        shown: ShownFaces,
        voices: VoiceDetector,
        has_audio: bool,
        has_video: bool,
        labels: SpeakerLabels | None = None,
    ) -> None:
        super().__init__(config, shown, voices, has_audio, has_video, labels)
        self._has_audio = has_audio
        self._period = 1 / config.visual.frames_per_second
        self._segmenter = CausalSegmenter(config.audio.segmentation)
        self._waiting: deque[Segment] = deque()
        self._silent_until = 0.0

    def _cut(self, event: AudioChunk | VideoFrame) -> list[Utterance]:
        if isinstance(event, AudioChunk):
            self._waiting.extend(self._segmenter.push(event))
        elif not self._has_audio:
            self._push_silence()
        found = []
        while self._waiting and self._clock.has_passed(self._waiting[0].end):
            found += self._build(self._waiting.popleft())
        return found

    def flush(self, duration: float | None = None) -> list[Utterance]:
        """See `UtteranceStream.flush`."""
        if not self._has_audio:
            latest = self._clock.latest
            self._clock.latest = max(duration, latest) if duration else latest + self._period
            self._push_silence()
        left = [*self._waiting, *self._segmenter.flush()]
        self._waiting.clear()
        return [utterance for segment in left for utterance in self._build(segment)]

    def under_way(self) -> Utterance | None:
        """See `UtteranceStream.under_way`; its speaker is not known yet."""
        segment = None if self._waiting else self._segmenter.under_way()
        utterance = None if segment is None else self._built(segment)
        return utterance if utterance is not None and utterance.is_speech else None

    @property
    def pending_silence(self) -> float:
        """See `UtteranceStream.pending_silence`."""
        return self._segmenter.pending_silence

    def _push_silence(self) -> None:
        """Stand in for the sound of a media that has none."""
        samples = round((self.latest - self._silent_until) * SAMPLE_RATE)
        chunk = AudioChunk(self._silent_until, np.zeros(samples, dtype=np.float32))
        self._waiting.extend(self._segmenter.push(chunk))
        self._silent_until = self.latest

    def _build(self, segment: Segment) -> list[Utterance]:
        """The utterances of a segment: one for each of its speakers in turn."""
        if self._labels is None or not segment.is_speech:
            return [self._built(segment)]
        parts = self._labels.divide(segment)
        return [_labelled(self._built(part, speaker)) for part, speaker in parts]

    def _built(self, segment: Segment, speaker: str | None = None) -> Utterance:
        return self._builder.build(
            segment.start,
            segment.end,
            segment.samples,
            speaker=speaker,
            is_speech=segment.is_speech,
        )


class CueStream(UtteranceStream):
    """Cuts at the times of captions, which give the words; what lies between them is left out.

    Captions are joined into utterances by `group_cues`.

    Args:
        cues: with start and end, in time order; other arguments as of `UtteranceStream`.
    """

    def __init__(
        self,
        config: Config,
        shown: ShownFaces,
        voices: VoiceDetector,
        has_audio: bool,
        has_video: bool,
        cues: Sequence[Cue],
        labels: SpeakerLabels | None = None,
    ) -> None:
        super().__init__(config, shown, voices, has_audio, has_video, labels)
        self._sound: deque[AudioChunk] = deque()
        self._groups = deque(group_cues(cues))
        self._waiting = deque((*_span(cue), cue) for cue in map(join_cues, self._groups))

    def _cut(self, event: AudioChunk | VideoFrame) -> list[Utterance]:
        if isinstance(event, AudioChunk):
            self._sound.append(event)
            while self._sound and self._sound[0].end <= self._next_start():
                self._sound.popleft()
        found = []
        while self._waiting and self._clock.has_passed(self._waiting[0][1]):
            self._groups.popleft()
            found.append(self._build(*self._waiting.popleft()))
        return found

    def flush(self, duration: float | None = None) -> list[Utterance]:
        """See `UtteranceStream.flush`; captions that begin after the end are left out.

        Those that are still shown at the end end with it.
        """
        media_end = max(self.latest, duration or 0.0)
        begun = [[cue for cue in group if _span(cue)[0] < self.latest] for group in self._groups]
        self._waiting.clear()
        self._groups.clear()
        spans = [(*_span(cue), cue) for cue in map(join_cues, filter(None, begun))]
        return [self._build(start, min(end, media_end), cue) for start, end, cue in spans]

    def under_way(self) -> Utterance | None:
        """See `UtteranceStream.under_way`; it has all words of its caption."""
        if self._next_start() >= self.latest:
            return None
        start, _, cue = self._waiting[0]
        return self._built(start, self.latest, cue, self._heard(start, self.latest))

    def _next_start(self) -> float:
        return self._waiting[0][0] if self._waiting else math.inf

    def _build(self, start: float, end: float, cue: Cue) -> Utterance:
        samples = self._heard(start, end)
        if cue.speaker or self._labels is None:
            return self._built(start, end, cue, samples)
        speaker = self._labels.of_caption(Segment(start, end, samples, True))
        return _labelled(self._built(start, end, replace(cue, speaker=speaker), samples))

    def _built(self, start: float, end: float, cue: Cue, samples: NDArray[np.float32]) -> Utterance:
        return self._builder.build(start, end, samples, text=cue.text, speaker=cue.speaker)

    def _heard(self, start: float, end: float) -> NDArray[np.float32]:
        """The sound between two times in seconds, as far as there is any."""
        if chunks := [c for c in self._sound if c.start < end and c.end > start]:
            return join_chunks(chunks, max(start, chunks[0].start), min(end, chunks[-1].end))
        return np.zeros(0, dtype=np.float32)


def _labelled(utterance: Utterance) -> Utterance:
    """An utterance whose speaker was asked for, with a warning where the answer is unsure."""
    if not utterance.is_speech:
        return replace(utterance, speaker=None)
    if utterance.speaker is not None:
        return utterance
    return replace(utterance, warnings=(*utterance.warnings, UNCERTAIN))


def read_utterances(
    reader: MediaReader, stream: UtteranceStream, progress: Progress
) -> Iterator[Utterance]:
    """Push a file that was not read yet through a stream, and yield its utterances."""
    for event in reader.events_ahead():
        found = stream.push(event)
        progress(stream.latest, reader.info.duration)
        yield from found
    yield from stream.flush(reader.reached)


class _Clock:
    """How far sound and pictures have been read, in seconds."""

    def __init__(self, has_audio: bool, has_video: bool, frames_per_second: float) -> None:
        self.latest = 0.0
        self._has_audio = has_audio
        self._heard = -math.inf
        self._next_picture = -math.inf if has_video else math.inf
        self._ticks = FrameSampler(frames_per_second)

    def advance(self, event: AudioChunk | VideoFrame) -> None:
        if isinstance(event, VideoFrame):
            self._next_picture = self._ticks.next_after(event.time)
            self.latest = max(self.latest, event.time)
        else:
            self._heard = event.end
            self.latest = max(self.latest, event.end)

    def has_passed(self, time: float) -> bool:
        """Whether nothing up to this time is still to come, or the pictures lag by `VIDEO_LAG`."""
        is_seen = self._next_picture > time
        if not self._has_audio:
            return is_seen
        return self._heard >= time and (is_seen or self._heard >= time + VIDEO_LAG)


def _span(cue: Cue) -> tuple[float, float]:
    if cue.start is None or cue.end is None:
        raise ValueError("a cue without times cannot be placed")
    return cue.start, cue.end
