"""Recognises emotions while they happen, from a live source or a file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

from avt_memocmt.errors import AvtError
from avt_memocmt.inference.arguments import require_faces
from avt_memocmt.inference.captions import FittedCaptions
from avt_memocmt.inference.dialogue import DialogueReader
from avt_memocmt.inference.found_speakers import LiveSpeakers, SpeakerLabels
from avt_memocmt.inference.hear_speakers import hear_speakers
from avt_memocmt.inference.recent_decisions import RecentDecisions
from avt_memocmt.inference.recognizer import Recognizer
from avt_memocmt.inference.results import StreamEvent
from avt_memocmt.inference.shown_people import rate_between
from avt_memocmt.inference.speaker_settings import NO_WISHES, SpeakerSettings
from avt_memocmt.inference.turn_policy import TurnPolicy
from avt_memocmt.inference.utterances import Utterance
from avt_memocmt.inference.which_faces import WhichFaces
from avt_memocmt.media.address import is_address, open_address
from avt_memocmt.media.backlog import Backlog, Event, in_real_time
from avt_memocmt.media.live_source import LiveSource, open_source
from avt_memocmt.media.pushed_source import PushedSource
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
        labels: say who speaks; None where nobody is to be told apart.
        is_live: whether the stream comes from a device or the network, so that a picture without
            a newer one does not count for ever, and only so many silent decisions are kept.
        faces: which of several faces counts; see `Recognizer.predict`.
        pause: seconds of a pause in speech after which what was said so far is decided at once,
            provisionally: long before the pause of `SegmentationConfig` makes it certain that the
            utterance is over. None waits for the next `hop`.
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
        labels: SpeakerLabels | None = None,
        is_live: bool = False,
        faces: WhichFaces = "speaking",
        pause: float | None = None,
    ) -> None:
        self._labels = labels
        self._decided = RecentDecisions()
        self._stream = recognizer.new_stream(has_audio, has_video, captions, labels, is_live, faces)
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
            most_silent=MOST_SILENT if is_live else None,
        )
        self._hop = hop
        self._pause = pause
        self._pause_decided = False
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
        found = self._take(self._stream.push(event))
        found += self._decided.add(self._turns.revisions(self.latest))
        return found if hurry else found + self._provisional()

    def finish(self, duration: float | None = None) -> list[StreamEvent]:
        """End the stream: decide on the utterance under way and wait for late words.

        Args:
            duration: of the media in seconds, where it is known.
        """
        found = self._take(self._stream.flush(duration))
        return found + self._decided.add(self._turns.finish(self.latest))

    def _take(self, utterances: Sequence[Utterance]) -> list[StreamEvent]:
        """Decide on utterances that are over; say where the speaker of an earlier one changes."""
        found: list[StreamEvent] = []
        for utterance in utterances:
            found += self._decided.add(self._turns.take(utterance, self.latest))
        if isinstance(self._labels, LiveSpeakers):
            for start, speaker in self._labels.revisions():
                found += self._decided.relabel(start, speaker, self.latest)
        return found

    def _provisional(self) -> list[StreamEvent]:
        latest = self.latest
        if not self._is_due(latest):
            return []
        utterance = self._stream.under_way()
        if utterance is None or utterance.is_empty:
            return []
        self._last_provisional = latest
        return [self._turns.provisional(utterance, latest)]

    def _is_due(self, latest: float) -> bool:
        """Whether it is time for a provisional decision."""
        if self._pause is not None:
            has_paused = self._stream.pending_silence >= self._pause
            is_first, self._pause_decided = not self._pause_decided, has_paused
            if has_paused and is_first:
                return True
        since = max(self._last_provisional, self._turns.last_taken)
        return bool(self._hop) and latest - since >= self._hop


class LiveStream:
    """Reads a source in the background and recognises beside it, dropping pictures under load.

    Args:
        recognizer: its engine and configuration.
        source: a file, or what `LiveSource` takes; the address of a film with a length is read as
            a file is. Or a source that is open.
        hop: seconds between provisional decisions; 0 = none.
        transcribe: let the packaged recogniser listen.
        as_fast_as_possible: read a file at full speed, drop nothing, and wait for the words of each
            final decision, so that these are the ones of `Recognizer.predict`.
        captions: cues of a file, with times; they give its utterances and their words.
        audio_track: number of the sound track of a file, from 1; None = see `MediaReader`.
        speakers: see `Recognizer.predict`; at full speed, the sound is read before, as there.
            Otherwise speakers are told apart as they are heard; an earlier label may be revised.
        faces: which of several faces counts; see `Recognizer.predict`.
        pause: see `LiveRecognizer`.
        warn: called with a sentence when a live source is lost, and why, or found again, when
            decisions on silence were not kept or captions were left out, or of what is wrong with
            a file.

    Attributes:
        backlog: input that waits; it counts what was dropped because the recogniser was behind.

    Raises:
        AvtError: the source cannot be opened, the captions have no times, or a live source is to
            be read at full speed or with captions.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        source: str | PushedSource,
        *,
        hop: float = HOP,
        transcribe: bool = True,
        as_fast_as_possible: bool = False,
        captions: Sequence[Cue] | None = None,
        audio_track: int | None = None,
        speakers: SpeakerSettings = NO_WISHES,
        faces: WhichFaces = "speaking",
        pause: float | None = None,
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        if captions is not None and any(cue.start is None for cue in captions):
            raise AvtError("captions need times; give a .srt or .vtt of the film.")
        require_faces(faces)
        rate = recognizer.config.visual.frames_per_second
        needs_end = as_fast_as_possible or captions is not None
        self.backlog = Backlog()
        self._source: MediaReader | LiveSource | PushedSource
        if isinstance(source, PushedSource):
            self._source, self._name = source, "the recording"
        else:
            self._name = source
            self._source = open_source(
                source,
                rate,
                warn,
                needs_end=needs_end,
                audio_track=audio_track,
                between=rate_between(faces),
            )
        self._at_once = as_fast_as_possible
        self._warn = warn
        self._stopped = False
        kinds = self._source.info if isinstance(self._source, MediaReader) else self._source
        self._captions = None
        if captions and isinstance(self._source, MediaReader):
            self._captions = FittedCaptions(captions, self._source.info.duration)
        self._recognizer = LiveRecognizer(
            recognizer,
            kinds.has_audio,
            kinds.has_video,
            hop=hop,
            transcribe=transcribe,
            wait_for_words=as_fast_as_possible,
            captions=self._captions.cues if self._captions else None,
            labels=self._labels(recognizer, speakers, captions, audio_track),
            is_live=not isinstance(self._source, MediaReader),
            faces=faces,
            pause=pause,
        )

    def events(self, seconds: float | None = None) -> Iterator[StreamEvent]:
        """Decisions as they are made, until the source ends or `stop` is called.

        Args:
            seconds: length after which the stream is ended; None = where the source ends.

        Raises:
            AvtError: the source cannot be decoded, or all captions begin after its end, or a film
                on a server broke off; what came before that is decided first.
        """
        try:
            for event, hurry in self._incoming():
                if self._stopped or (seconds is not None and self._recognizer.latest >= seconds):
                    break
                yield from self._recognizer.push(event, hurry)
        finally:
            self._close()
        duration = None
        cut = self._stopped or seconds is not None
        if isinstance(self._source, MediaReader) and not cut:
            duration = self._source.reached
        yield from self._recognizer.finish(duration)
        if isinstance(self._source, MediaReader):
            for name in self._source.warnings:
                self._warn(f"{self._source.path}: {name}: {WARNINGS.get(name, '')}")
        if forgotten := self._recognizer.forgotten:
            self._warn(f"nobody spoke: the first {forgotten} decisions on silence were not kept.")
        if self._captions:
            self._report_captions(self._captions, math.inf if cut else self._recognizer.latest)
        if isinstance(self._source, MediaReader) and self._source.lost and not self._stopped:
            raise AvtError(
                f"{self._name} broke off after {self._recognizer.latest:.1f} s "
                f"({self._source.lost}); the rest is missing: start again, or download it first."
            )

    def _labels(
        self,
        recognizer: Recognizer,
        who: SpeakerSettings,
        captions: Sequence[Cue] | None,
        audio_track: int | None,
    ) -> SpeakerLabels | None:
        """What tells the speakers apart: heard before at full speed, else while they speak."""
        if not self._at_once:
            return LiveSpeakers(recognizer.new_speakers(who)) if who.is_wanted else None

        def reader(only: Literal["audio"] | None) -> MediaReader:
            container = open_address(self._name) if is_address(self._name) else None
            return MediaReader(self._name, only=only, audio_track=audio_track, container=container)

        return hear_speakers(reader, captions, who, lambda: recognizer.diarizer)

    def _report_captions(self, captions: FittedCaptions, reached: float) -> None:
        captions.require_some(self._name, reached)
        if said := captions.use(reached).sentences():
            self._warn(said)

    def stop(self) -> None:
        """End the stream and decide on the utterance under way; a signal handler may call this."""
        self._stopped = True
        self.backlog.close()

    def _incoming(self) -> Iterator[tuple[Event, bool]]:
        """Yield sound and pictures, each with whether more is waiting."""
        if not isinstance(self._source, MediaReader):
            self._source.fill(self.backlog)
        elif self._at_once:
            yield from ((event, False) for event in self._source.events())
            return
        else:
            self.backlog.read_in_background(in_real_time(self._source.events()))
        yield from self.backlog.take()

    def _close(self) -> None:
        if not isinstance(self._source, MediaReader):
            self._source.stop()
        elif self._at_once:
            self._source.close()
