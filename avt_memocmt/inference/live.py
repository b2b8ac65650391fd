"""Emotions while they happen: provisional ones, a final one at each utterance's end, revisions."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Literal

from avt_memocmt.features.base import Tokens
from avt_memocmt.features.remembered_faces import RememberedFaces
from avt_memocmt.features.remembered_text import RememberedText
from avt_memocmt.inference.dialogue import DialogueReader, Turn
from avt_memocmt.inference.recognizer import EmotionRecognizer
from avt_memocmt.inference.results import UtterancePrediction, utterance_json
from avt_memocmt.inference.utterances import CueStream, Utterance, UtteranceStream
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
    turn: Turn
    words: Future[tuple[str, Tokens | None]]


class LiveRecognizer:
    """Turns a stream of sound and pictures into events, in bounded memory.

    With `wait_for_words` the final decisions are those of `EmotionRecognizer.predict` on the same
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
        recognizer: EmotionRecognizer,
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
            known = RememberedFaces(self._encoders.visual, most)
            self._encoders = replace(self._encoders, visual=known)
        if self._encoders.text is not None and captions is not None:
            known_lines = RememberedText(self._encoders.text, MOST_PENDING)
            self._encoders = replace(self._encoders, text=known_lines)
        self._dialogue = self._new_dialogue()
        self._has_audio = has_audio
        self._hop = hop
        self._transcribe = transcribe
        self._wait_for_words = wait_for_words
        self._listener = ThreadPoolExecutor(1, "recogniser")
        self._pending: deque[_Pending] = deque()
        self._quiet: list[StreamEvent] = []
        self._speech_heard = False
        self._count = 0
        self._glanced = 0.0

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
            found += self._glance()
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
            found += self._quiet
        return found

    def _new_dialogue(self) -> DialogueReader:
        return DialogueReader(self._recognizer.model, self._encoders, self._recognizer.config)

    def _end(self, utterance: Utterance) -> list[StreamEvent]:
        if utterance.is_speech and not self._speech_heard:
            # As in `predict`: quiet stretches count only where nobody ever speaks.
            self._speech_heard, self._count = True, 0
            self._quiet.clear()
            self._dialogue = self._new_dialogue()
        if utterance.is_empty or utterance.is_speech != self._speech_heard:
            return []
        event = StreamEvent("final", self._count, self._decide(utterance), self._utterances.latest)
        self._count += 1
        self._glanced = self._utterances.latest
        if self._has_audio and not self._speech_heard:
            self._quiet.append(event)
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

    def _glance(self) -> list[StreamEvent]:
        latest = self._utterances.latest
        if not self._hop or latest - self._glanced < self._hop:
            return []
        utterance = self._utterances.under_way()
        if utterance is None or utterance.is_empty:
            return []
        self._glanced = latest
        # Before the first utterance the dialogue may hold quiet stretches, which speech ends.
        dialogue = self._dialogue if self._speech_heard else self._new_dialogue()
        number = self._count if self._speech_heard else 0
        return [StreamEvent("provisional", number, dialogue.glance(utterance), latest)]
