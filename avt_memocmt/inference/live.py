"""Emotions while they happen: provisional ones, a final one at each utterance's end, revisions."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Literal

from avt_memocmt.errors import AvtError
from avt_memocmt.features.base import Tokens
from avt_memocmt.features.encoder_cache import CachedTextEncoder, CachedVisualEncoder
from avt_memocmt.inference.dialogue import DialogueReader, PreparedTurn
from avt_memocmt.inference.recognizer import Recognizer
from avt_memocmt.inference.results import UtterancePrediction, utterance_json
from avt_memocmt.inference.utterance_stream import CueStream, UtteranceStream
from avt_memocmt.inference.utterances import Utterance
from avt_memocmt.media.live_source import Backlog, Event, LiveSource, in_real_time, is_live
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.media.types import AudioChunk, VideoFrame
from avt_memocmt.preprocessing.transcripts import Cue, merge_cues

HOP = 0.5
"""Seconds of the stream between two provisional emotions."""
MOST_PENDING = 8
"""Utterances whose words are waited for; beyond, the stream waits for the oldest."""


@dataclass(frozen=True)
class StreamEvent:
    """One decision about one utterance.

    Attributes:
        kind: "provisional" while somebody speaks; "final" at the utterance's end; "revised" when
            its words have come after that.
        number: of the utterance, from 0.
        prediction: what was decided; the times count from the start of the stream.
        at: seconds of the stream read when it was decided.
    """

    kind: Literal["provisional", "final", "revised"]
    number: int
    prediction: UtterancePrediction
    at: float

    def to_json(self) -> dict[str, Any]:
        """One line of `avt-memocmt stream`."""
        return {
            "event": self.kind,
            "utterance": self.number,
            "at": round(self.at, 3),
            **utterance_json(self.prediction),
        }


@dataclass(frozen=True)
class _Pending:
    """An utterance whose words are being recognised."""

    number: int
    turn: PreparedTurn
    words: Future[tuple[str, Tokens | None]]


class LiveRecognizer:
    """Turns a stream of sound and pictures into events, in bounded memory.

    With `wait_for_words` the final decisions are those of `Recognizer.predict` on the same
    stream. Without it a final decision does not wait for the recogniser, which works beside it and
    leads to a revision.

    Args:
        recognizer: model and encoders.
        has_audio: whether the stream has sound.
        has_video: whether it has pictures.
        hop: seconds between provisional decisions; 0 = none.
        transcribe: let the packaged recogniser listen.
        wait_for_words: decide only when the words are there.
        captions: cues with times, which then cut the stream and give its words; nothing else is
            judged.
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
    ) -> None:
        self._recognizer = recognizer
        parts = recognizer.config, recognizer.new_tracker(), has_audio, has_video
        self._utterances: UtteranceStream | CueStream
        if captions is None:
            self._utterances = UtteranceStream(*parts)
        else:
            self._utterances = CueStream(*parts, merge_cues(list(captions)))
        self._encoders = recognizer.encoders
        if self._encoders.visual is not None:
            # Provisional decisions so encode the faces that the final one would wait for.
            most = 2 * recognizer.config.visual.max_frames
            known = CachedVisualEncoder(self._encoders.visual, most)
            self._encoders = replace(self._encoders, visual=known)
        if self._encoders.text is not None and captions is not None:
            known_lines = CachedTextEncoder(self._encoders.text, MOST_PENDING)
            self._encoders = replace(self._encoders, text=known_lines)
        self._dialogue = self._new_dialogue()
        self._has_audio = has_audio
        self._hop = hop
        self._transcribe = transcribe
        self._wait_for_words = wait_for_words
        self._listener = ThreadPoolExecutor(1, "recogniser")
        self._pending: deque[_Pending] = deque()
        self._pending_silence: list[StreamEvent] = []
        self._speech_heard = False
        self._count = 0
        self._last_provisional = 0.0

    @property
    def latest(self) -> float:
        """Seconds of the stream read so far."""
        return self._utterances.latest

    def push(self, event: AudioChunk | VideoFrame, hurry: bool = False) -> list[StreamEvent]:
        """Take what comes next and return what it decides.

        Args:
            event: sound or a picture; each kind in order of time.
            hurry: leave out the provisional decision, because more is waiting already.
        """
        found: list[StreamEvent] = []
        for utterance in self._utterances.push(event):
            found += self._end(utterance)
        found += self._revisions(len(self._pending) - MOST_PENDING)
        if not hurry:
            found += self._provisional()
        return found

    def finish(self, duration: float | None = None) -> list[StreamEvent]:
        """End the stream: what is under way is decided, and words that are due are waited for.

        Args:
            duration: of the media in seconds, where it is known.
        """
        found: list[StreamEvent] = []
        for utterance in self._utterances.flush(duration):
            found += self._end(utterance)
        found += self._revisions(len(self._pending))
        self._listener.shutdown()
        if not self._speech_heard:
            found += self._pending_silence
        return found

    def _new_dialogue(self) -> DialogueReader:
        return DialogueReader(self._recognizer.model, self._encoders, self._recognizer.config)

    def _end(self, utterance: Utterance) -> list[StreamEvent]:
        if utterance.is_speech and not self._speech_heard:
            # As in `predict`: quiet stretches count only where nobody ever speaks.
            self._speech_heard, self._count = True, 0
            self._pending_silence.clear()
            self._dialogue = self._new_dialogue()
        if utterance.is_empty or utterance.is_speech != self._speech_heard:
            return []
        event = StreamEvent("final", self._count, self._decide(utterance), self._utterances.latest)
        self._count += 1
        self._last_provisional = self._utterances.latest
        if self._has_audio and not self._speech_heard:
            self._pending_silence.append(event)
            return []
        return [event]

    def _decide(self, utterance: Utterance) -> UtterancePrediction:
        if utterance.text:
            return self._dialogue.read(utterance, "given")
        if not self._transcribe or utterance.samples is None or not utterance.is_speech:
            return self._dialogue.read(utterance, "none")
        if self._wait_for_words:
            text, tokens = self._recognizer.listen(utterance)
            heard = replace(utterance, text=text)
            return self._dialogue.read(heard, "asr" if text else "none", tokens)
        turn = self._dialogue.prepare(utterance, "none")
        words = self._listener.submit(self._recognizer.listen, utterance)
        self._pending.append(_Pending(self._count, turn, words))
        return self._dialogue.decide(turn)

    def _revisions(self, waited_for: int) -> list[StreamEvent]:
        """Decisions on words that have come, and on the oldest ones that must be waited for."""
        found = []
        while self._pending and (waited_for > 0 or self._pending[0].words.done()):
            late = self._pending.popleft()
            waited_for -= 1
            text, _ = late.words.result()
            if text:
                since = self._count - 1 - late.number
                prediction = self._dialogue.revise(late.turn, text, since)
                at = self._utterances.latest
                found.append(StreamEvent("revised", late.number, prediction, at))
        return found

    def _provisional(self) -> list[StreamEvent]:
        latest = self._utterances.latest
        if not self._hop or latest - self._last_provisional < self._hop:
            return []
        utterance = self._utterances.under_way()
        if utterance is None or utterance.is_empty:
            return []
        self._last_provisional = latest
        # Before the first utterance the dialogue may hold quiet stretches, which speech ends.
        dialogue = self._dialogue if self._speech_heard else self._new_dialogue()
        number = self._count if self._speech_heard else 0
        return [StreamEvent("provisional", number, dialogue.provisional(utterance), latest)]


class LiveStream:
    """Reads a source in the background and recognises beside it, dropping pictures under load.

    Args:
        recognizer: model and encoders.
        source: a file, or what `LiveSource` takes.
        hop: seconds between provisional decisions; 0 = none.
        transcribe: let the packaged recogniser listen.
        as_fast_as_possible: of a file: nothing is dropped, and each final decision waits for its
            words; so they are those of `Recognizer.predict`.
        captions: cues of a file, with times: its utterances and their words.
        warn: called with a sentence when a live source is lost or found again.

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
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        if captions is not None and (is_live(source) or any(cue.start is None for cue in captions)):
            raise AvtError("captions need times and a file; give a .srt or .vtt of the file.")
        rate = recognizer.config.visual.frames_per_second
        self._backlog = Backlog()
        self._live: LiveSource | None = None
        self._file: MediaReader | None = None
        self._at_once = as_fast_as_possible
        self._stopped = False
        if is_live(source):
            self._live = LiveSource(source, rate, warn)
            has_audio, has_video = self._live.has_audio, self._live.has_video
        else:
            self._file = MediaReader(source, rate)
            has_audio, has_video = self._file.info.has_audio, self._file.info.has_video
        self._recognizer = LiveRecognizer(
            recognizer,
            has_audio,
            has_video,
            hop=hop,
            transcribe=transcribe,
            wait_for_words=as_fast_as_possible,
            captions=captions,
        )

    @property
    def dropped_frames(self) -> int:
        """Pictures that were dropped because the recogniser was behind."""
        return self._backlog.dropped_frames

    @property
    def dropped_sound(self) -> float:
        """Seconds of sound that were dropped for the same reason."""
        return self._backlog.dropped_sound

    def events(self, seconds: float | None = None) -> Iterator[StreamEvent]:
        """Decisions as they are made, until the source ends or `stop` is called.

        Args:
            seconds: of the stream after which it ends; None = when the source does.

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
        cut = self._stopped or seconds is not None
        file = None if cut else self._file
        yield from self._recognizer.finish(file.info.duration if file is not None else None)

    def stop(self) -> None:
        """End the stream: what is under way is decided. May be called from a signal's handler."""
        self._stopped = True
        self._backlog.close()

    def _incoming(self) -> Iterator[tuple[Event, bool]]:
        if self._live is not None:
            self._live.fill(self._backlog)
        elif self._file is not None and self._at_once:
            yield from ((event, False) for event in self._file.events())
            return
        elif self._file is not None:
            self._backlog.read_in_background(in_real_time(self._file.events()))
        yield from self._backlog.take()

    def _close(self) -> None:
        if self._live is not None:
            self._live.stop()
        if self._file is not None and self._at_once:
            self._file.close()
