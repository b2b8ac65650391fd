"""Cuts sound into utterances as it arrives: WebRTC VAD and a causal hangover rule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import webrtcvad
from numpy.typing import NDArray

from avt_memocmt.as_program import run_command
from avt_memocmt.config import SegmentationConfig
from avt_memocmt.media.types import SAMPLE_RATE, AudioChunk

FRAME = SAMPLE_RATE * 30 // 1000
"""Samples of one VAD decision (30 ms, the longest frame WebRTC VAD takes)."""

SHORT_PAUSE = 0.2
"""Seconds of silence at which an utterance longer than `max_utterance` is closed."""

QUIET = 0.05
"""Share of the loudest frame of an utterance (root mean square, 26 dB below) under which a frame
is a pause: WebRTC's VAD itself goes on for some 0.15 s after the end of speech."""

MAX_FILL = 2.0
"""Seconds; a hole in the sound up to this length is silence, a longer one ends the segment."""

_CLOCK_TOLERANCE = 0.01  # seconds


@dataclass(frozen=True)
class Segment:
    """A stretch of sound between two decided times.

    Attributes:
        start: seconds from the start of the media.
        end: seconds from the start of the media.
        samples: float32 [n], mono, `SAMPLE_RATE`.
        is_speech: True for an utterance, False for the quiet between utterances.
    """

    start: float
    end: float
    samples: NDArray[np.float32]
    is_speech: bool


class CausalSegmenter:
    """Splits a stream into utterances and the quiet between them.

    Segments come in time order, do not overlap and leave nothing out: joined, they are the input
    (holes of up to `MAX_FILL` seconds filled with zeros). Each is returned by the call that
    decides its end, so it never depends on later sound. How the sound was cut into chunks does not
    matter either. The memory is bounded: about 1.5 `max_utterance` of sound at most.
    """

    def __init__(self, config: SegmentationConfig) -> None:
        self._aggressiveness = config.aggressiveness
        self._min_speech = _samples(config.min_speech)
        self._min_silence = _samples(config.min_silence)
        self._max_length = _samples(config.max_utterance)
        self._padding = _samples(config.padding)
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next chunk may be of another recording."""
        self._vad = webrtcvad.Vad(self._aggressiveness)
        self._origin: float | None = None  # seconds, the time of sample 0
        # Sample counts since the origin.
        self._received = 0
        self._judged = 0
        self._start = 0  # of the segment under way
        self._run_start: int | None = None  # of the voiced frames that may open an utterance
        self._voiced_end = 0  # of the latest voiced frame of an utterance
        self._loud_end = 0  # of its latest frame that is not quiet
        self._loudest = 0.0  # root mean square of its loudest frame
        self._speaking = False
        self._held: list[NDArray[np.float32]] = []  # judged sound from _start on
        self._unjudged = np.zeros(0, dtype=np.float32)  # less than a frame

    def push(self, chunk: AudioChunk) -> list[Segment]:
        """Take the next chunk and return the segments whose end it decides."""
        segments = []
        samples = chunk.samples
        if self._origin is not None:
            hole = chunk.start - self._time(self._received)
            if hole > MAX_FILL:
                segments = self.flush()
            elif hole > _CLOCK_TOLERANCE:
                samples = np.concatenate([np.zeros(_samples(hole), np.float32), samples])
        if self._origin is None:
            self._origin = chunk.start
        self._received += len(samples)
        waiting = np.concatenate([self._unjudged, samples])
        whole = len(waiting) // FRAME * FRAME
        for first in range(0, whole, FRAME):
            segments += self._advance(waiting[first : first + FRAME])
        self._unjudged = waiting[whole:]
        return segments

    def under_way(self) -> Segment | None:
        """The utterance that is being spoken, up to the last judged frame; None in quiet."""
        if not self._speaking:
            return None
        held = np.concatenate(self._held)
        return Segment(self._time(self._start), self._time(self._judged), held, True)

    @property
    def pending_silence(self) -> float:
        """Seconds for which the utterance under way has been quiet; 0 in quiet between utterances.

        It tells of a pause sooner than the rule that ends utterances, and sees more of them.
        """
        since = min(self._voiced_end, self._loud_end)
        return (self._judged - since) / SAMPLE_RATE if self._speaking else 0.0

    def flush(self) -> list[Segment]:
        """End the stream and return what is left; the next chunk starts afresh."""
        self._held.append(self._unjudged)
        self._judged = self._received
        segments = []
        if self._speaking:
            segments.append(self._end_utterance())
        while self._start < self._judged:
            segments.append(self._cut(min(self._start + self._max_length, self._judged), False))
        self.reset()
        return segments

    def _advance(self, frame: NDArray[np.float32]) -> list[Segment]:
        integers = np.round(frame * 32767).astype(np.int16)
        voiced = self._vad.is_speech(integers.tobytes(), SAMPLE_RATE)
        self._held.append(frame)
        self._judged += FRAME
        segments = self._in_utterance(voiced) if self._speaking else self._in_quiet(voiced)
        self._measure(frame)
        return segments

    def _measure(self, frame: NDArray[np.float32]) -> None:
        """Keep what tells whether the utterance under way is quiet."""
        level = float(np.sqrt(np.mean(np.square(frame))))
        self._loudest = max(self._loudest, level) if self._speaking else 0.0
        if level >= QUIET * self._loudest:
            self._loud_end = self._judged

    def _in_quiet(self, voiced: bool) -> list[Segment]:
        if not voiced:
            self._run_start = None
        elif self._run_start is None:
            self._run_start = self._judged - FRAME
        onset = self._judged if self._run_start is None else self._run_start
        earliest = max(self._start, onset - self._padding)
        segments = []
        if earliest - self._start >= self._max_length:
            segments.append(self._cut(self._start + self._max_length, False))
        if self._judged - onset >= self._min_speech:
            if earliest > self._start:
                segments.append(self._cut(earliest, False))
            self._speaking, self._voiced_end = True, self._judged
        return segments

    def _in_utterance(self, voiced: bool) -> list[Segment]:
        if voiced:
            self._voiced_end = self._judged
        silence = self._judged - self._voiced_end
        length = self._judged - self._start
        is_over = (
            silence >= self._min_silence
            or (length >= self._max_length and silence >= _samples(SHORT_PAUSE))
            or length >= 1.5 * self._max_length
        )
        return [self._end_utterance()] if is_over else []

    def _end_utterance(self) -> Segment:
        self._speaking, self._run_start = False, None
        return self._cut(min(self._voiced_end + self._padding, self._judged), True)

    def _cut(self, end: int, is_speech: bool) -> Segment:
        held = np.concatenate(self._held)
        length = end - self._start
        segment = Segment(self._time(self._start), self._time(end), held[:length].copy(), is_speech)
        self._held = [held[length:].copy()]
        self._start = end
        return segment

    def _time(self, index: int) -> float:
        assert self._origin is not None
        return self._origin + index / SAMPLE_RATE


def speech_segments(
    samples: NDArray[np.float32], config: SegmentationConfig
) -> tuple[list[Segment], list[str]]:
    """Segment a whole recording, float32 [n] at `SAMPLE_RATE`.

    Returns:
        The segments, speech and quiet, and warnings. Without any speech: one segment, the whole
        recording, not speech, and the warning "no_speech".
    """
    segmenter = CausalSegmenter(config)
    segments = segmenter.push(AudioChunk(0.0, samples)) + segmenter.flush()
    if any(segment.is_speech for segment in segments):
        return segments, []
    return [Segment(0.0, len(samples) / SAMPLE_RATE, samples, False)], ["no_speech"]


def _samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)


if __name__ == "__main__":
    run_command("preprocess", "vad")
