"""Recognises emotions while they happen, from a live source or a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from avt_memocmt.errors import AvtError
from avt_memocmt.inference.dialogue import DialogueReader
from avt_memocmt.inference.recognizer import Recognizer
from avt_memocmt.inference.results import StreamEvent
from avt_memocmt.inference.turn_policy import TurnPolicy
from avt_memocmt.media.live_source import Backlog, Event, LiveSource, in_real_time, is_live
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.media.types import AudioChunk, VideoFrame
from avt_memocmt.preprocessing.transcripts import Cue
from avt_memocmt.wording import WARNINGS

HOP = 0.5
"""Seconds of the stream between two provisional emotions."""
MOST_SILENT = 300
"""Decisions that a live source in which nobody has spoken yet keeps: an hour of 12 s each."""
_KNOWN_LINES = 8
"""Captions and their contexts whose encoding is remembered."""


class LiveRecognizer:
    """Decides on a stream of sound and pictures as it arrives, in bounded memory.

    With `wait_for_words` the final decisions are those of `Recognizer.predict` on the same media.

    Args:
        recognizer: its engine and configuration.
        has_audio: whether the stream has sound.
        has_video: whether it has pictures.
        hop: seconds between provisional decisions; 0 = none.
        transcribe: let the packaged recogniser listen.
        wait_for_words: see `TurnPolicy`.
        captions: cues with times, which then cut the stream and give its words; nothing else is
            judged.
        most_silent: see `TurnPolicy`.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        has_audio: bool,
        has_video: bool,
        *,
        hop: float = HOP,
        transcribe: bool = True,
        wait_for_words: bool = False,
        captions: Sequence[Cue] | None = None,
        most_silent: int | None = None,
    ) -> None:
        self._stream = recognizer.new_stream(has_audio, has_video, captions)
        # The final decision then finds its faces and caption encoded by the provisional ones.
        encoders = recognizer.engine.encoders.cached(
            faces=2 * recognizer.config.visual.max_frames, lines=_KNOWN_LINES if captions else 0
        )
        engine = replace(recognizer.engine, encoders=encoders)
        self._turns = TurnPolicy(
            partial(DialogueReader, engine, recognizer.config),
            has_audio,
            recognizer.check_words,
            recognizer.listen if transcribe else None,
            wait_for_words=wait_for_words,
            most_silent=most_silent,
        )
        self._hop = hop
        self._last_provisional = 0.0

    @property
    def latest(self) -> float:
        """Seconds of the stream read so far."""
        return self._stream.latest

    @property
    def forgotten(self) -> int:
        """Decisions on silence that were not kept, of a stream in which nobody has spoken."""
        return self._turns.forgotten

    def push(self, event: AudioChunk | VideoFrame, hurry: bool = False) -> list[StreamEvent]:
        """Take what comes next and return what it decides.

        Args:
            event: sound or a picture; each kind in order of time.
            hurry: leave out the provisional decision, because more input is waiting.
        """
        found: list[StreamEvent] = []
        for utterance in self._stream.push(event):
            found += self._turns.take(utterance, self.latest)
        found += self._turns.revisions(self.latest)
        return found if hurry else found + self._provisional()

    def finish(self, duration: float | None = None) -> list[StreamEvent]:
        """End the stream: decide on the utterance under way and wait for late words.

        Args:
            duration: of the media in seconds, where it is known.
        """
        found: list[StreamEvent] = []
        for utterance in self._stream.flush(duration):
            found += self._turns.take(utterance, self.latest)
        return found + self._turns.finish(self.latest)

    def _provisional(self) -> list[StreamEvent]:
        latest = self.latest
        if (
            not self._hop
            or latest - max(self._last_provisional, self._turns.last_taken) < self._hop
        ):
            return []
        utterance = self._stream.under_way()
        if utterance is None or utterance.is_empty:
            return []
        self._last_provisional = latest
        return [self._turns.provisional(utterance, latest)]


class LiveStream:
    """Reads a source in the background and recognises beside it, dropping pictures under load.

    Args:
        recognizer: its engine and configuration.
        source: a file, or what `LiveSource` takes.
        hop: seconds between provisional decisions; 0 = none.
        transcribe: let the packaged recogniser listen.
        as_fast_as_possible: read a file at full speed, drop nothing and wait for the words of each
            final decision, so that these are the ones of `Recognizer.predict`.
        captions: cues of a file, with times; they give its utterances and their words.
        audio_track: number of the sound track of a file, from 1; None = see `MediaReader`.
        warn: called with a sentence when a live source is lost or found again, when decisions on
            silence were not kept, or of what is wrong with a file.

    Attributes:
        backlog: input that waits; it counts what was dropped because the recogniser was behind.

    Raises:
        AvtError: the source cannot be opened, or the captions have no times.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        source: str,
        *,
        hop: float = HOP,
        transcribe: bool = True,
        as_fast_as_possible: bool = False,
        captions: Sequence[Cue] | None = None,
        audio_track: int | None = None,
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        if audio_track is not None and is_live(source):
            raise AvtError(f"{source} is live; a number of a sound track belongs to a file.")
        if captions is not None and (is_live(source) or any(cue.start is None for cue in captions)):
            raise AvtError("captions need times and a file; give a .srt or .vtt of the file.")
        rate = recognizer.config.visual.frames_per_second
        self.backlog = Backlog()
        self._source = (
            LiveSource(source, rate, warn)
            if is_live(source)
            else MediaReader(source, rate, audio_track=audio_track)
        )
        self._at_once = as_fast_as_possible
        self._warn = warn
        self._stopped = False
        is_file = isinstance(self._source, MediaReader)
        kinds = self._source.info if isinstance(self._source, MediaReader) else self._source
        self._recognizer = LiveRecognizer(
            recognizer,
            kinds.has_audio,
            kinds.has_video,
            hop=hop,
            transcribe=transcribe,
            wait_for_words=as_fast_as_possible,
            captions=captions,
            most_silent=None if is_file else MOST_SILENT,
        )

    def events(self, seconds: float | None = None) -> Iterator[StreamEvent]:
        """Decisions as they are made, until the source ends or `stop` is called.

        Args:
            seconds: length after which the stream is ended; None = where the source ends.

        Raises:
            AvtError: a file cannot be decoded.
        """
        try:
            for event, hurry in self._incoming():
                if self._stopped or (seconds is not None and self._recognizer.latest >= seconds):
                    break
                yield from self._recognizer.push(event, hurry)
        finally:
            self._close()
        duration = None
        if isinstance(self._source, MediaReader) and not self._stopped and seconds is None:
            duration = self._source.reached
        yield from self._recognizer.finish(duration)
        if isinstance(self._source, MediaReader):
            for name in self._source.warnings:
                self._warn(f"{self._source.path}: {name}: {WARNINGS.get(name, '')}")
        if forgotten := self._recognizer.forgotten:
            self._warn(f"nobody spoke: the first {forgotten} decisions on silence were not kept.")

    def stop(self) -> None:
        """End the stream and decide on the utterance under way; a signal handler may call this."""
        self._stopped = True
        self.backlog.close()

    def _incoming(self) -> Iterator[tuple[Event, bool]]:
        """Yield sound and pictures, each with whether more is waiting."""
        if isinstance(self._source, LiveSource):
            self._source.fill(self.backlog)
        elif self._at_once:
            yield from ((event, False) for event in self._source.events())
            return
        else:
            self.backlog.read_in_background(in_real_time(self._source.events()))
        yield from self.backlog.take()

    def _close(self) -> None:
        if isinstance(self._source, LiveSource):
            self._source.stop()
        elif self._at_once:
            self._source.close()
