"""Which utterances become turns of a dialogue, and with which words: for files as for streams."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from avt_memocmt.data.speaker_baselines import Baseline
from avt_memocmt.features.base import Tokens
from avt_memocmt.inference.dialogue import DialogueReader, PreparedTurn
from avt_memocmt.inference.results import StreamEvent
from avt_memocmt.inference.utterances import Utterance

MOST_WAITING = 4
"""Silent stretches that wait undecided for somebody to speak; older ones are decided."""
MOST_PENDING = 8
"""Utterances whose late words are awaited; beyond, the oldest is waited for."""

Listen = Callable[[Utterance], tuple[str, Tokens | None]]
"""Recognises the words of an utterance; see `Recognizer.listen`."""
ChooseBaselines = Callable[[PreparedTurn], dict[str, Baseline]]
"""Says which baselines a turn, encoded with its past, is judged against."""


def find_words(utterance: Utterance, listen: Listen | None) -> tuple[Utterance, str, Tokens | None]:
    """Return an utterance with its words, which are given, recognised or missing.

    Args:
        listen: recognises the words where none are given; None leaves them out.

    Returns:
        What `DialogueReader.read` takes: the utterance; "given", "asr" or "none"; the audio tokens
        where the recogniser computed them.
    """
    if utterance.text:
        return utterance, "given", None
    if listen is None or not utterance.is_speech:
        return utterance, "none", None
    text, audio_tokens = listen(utterance)
    return replace(utterance, text=text), "asr" if text else "none", audio_tokens


@dataclass(frozen=True)
class _Pending:
    """An utterance that was decided without its words, which are being recognised."""

    number: int
    turn: PreparedTurn
    words: Future[tuple[str, Tokens | None]]


class TurnPolicy:
    """Reads the utterances of one media file or stream as a dialogue.

    An utterance without sound, face and words is left out. Silence counts only where nobody speaks
    in the whole media: the first speech drops what was decided so far and begins the dialogue anew,
    and silence after that is left out.

    The state is bounded: `MOST_WAITING` silent stretches, `most_silent` decisions on silence, and
    `MOST_PENDING` utterances with late words.

    Args:
        new_dialogue: makes an empty dialogue.
        has_audio: whether the media has sound. Without it nobody is ever heard, so silence is
            decided at once.
        check_words: adds a warning to an utterance whose given words do not fit its sound.
        listen: recognises the words where none are given; None leaves them out.
        wait_for_words: decide only when an utterance's words are recognised, or checked if they
            are given. Without it, a decision comes at once, words that are recognised later revise
            it, and given words are not checked.
        most_silent: latest decisions on silence that are kept; None keeps all, which the length of
            a file bounds.
        choose_baselines: what a turn is judged against; its speaker's earlier turns unless given.

    Attributes:
        last_taken: seconds of the media read when an utterance last became a turn.
        forgotten: decisions on silence that were not kept.
    """

    def __init__(
        self,
        new_dialogue: Callable[[], DialogueReader],
        has_audio: bool,
        check_words: Callable[[Utterance], Utterance],
        listen: Listen | None,
        *,
        wait_for_words: bool = True,
        most_silent: int | None = None,
        choose_baselines: ChooseBaselines | None = None,
    ) -> None:
        self.last_taken = 0.0
        self.forgotten = 0
        self._new_dialogue = new_dialogue
        self._has_audio = has_audio
        self._check_words = check_words
        self._listen = listen
        self._wait_for_words = wait_for_words
        self._choose_baselines = choose_baselines
        self._speech_heard = False
        self._dialogue = new_dialogue()
        self._count = 0
        self._waiting: deque[tuple[Utterance, float]] = deque()
        self._silence: deque[StreamEvent] = deque(maxlen=most_silent)
        self._pending: deque[_Pending] = deque()
        self._listener = ThreadPoolExecutor(1, "recogniser")

    def take(self, utterance: Utterance, at: float) -> list[StreamEvent]:
        """Take the next utterance and return the final decisions that are certain with it.

        Args:
            utterance: complete.
            at: seconds of the media read so far.
        """
        if utterance.is_speech and not self._speech_heard:
            self._begin_speech()
        if utterance.is_empty or utterance.is_speech != self._speech_heard:
            return []
        self.last_taken = at
        if self._speech_heard or not self._has_audio:
            return self._decide(utterance, at)
        self._waiting.append((utterance, at))
        if len(self._waiting) > MOST_WAITING:
            for event in self._decide(*self._waiting.popleft()):
                self.forgotten += len(self._silence) == self._silence.maxlen
                self._silence.append(event)
        return []

    def provisional(self, utterance: Utterance, at: float) -> StreamEvent:
        """Decide on the speech under way, as far as it was heard; nothing is remembered."""
        # Until somebody has spoken, the dialogue holds silence, which this speech will end.
        dialogue = self._dialogue if self._speech_heard else self._new_dialogue()
        number = self._count if self._speech_heard else 0
        return StreamEvent("provisional", number, dialogue.provisional(utterance), at)

    def revisions(self, at: float, most_pending: int = MOST_PENDING) -> list[StreamEvent]:
        """Decide again where late words have come; wait for them where too many are pending."""
        found = []
        while self._pending and (
            len(self._pending) > most_pending or self._pending[0].words.done()
        ):
            late = self._pending.popleft()
            text, _ = late.words.result()
            if text:
                since = self._count - 1 - late.number
                prediction = self._dialogue.revise(late.turn, text, since)
                found.append(StreamEvent("revised", late.number, prediction, at))
        return found

    def finish(self, at: float) -> list[StreamEvent]:
        """Wait for late words; decide on the silence of a media in which nobody spoke."""
        found = self.revisions(at, most_pending=0)
        self._listener.shutdown()
        found += self._silence
        for waiting in self._waiting:
            found += self._decide(*waiting)
        return found

    def _begin_speech(self) -> None:
        self._speech_heard = True
        self._dialogue = self._new_dialogue()
        self._count = self.forgotten = 0
        self._waiting.clear()
        self._silence.clear()

    def _decide(self, utterance: Utterance, at: float) -> list[StreamEvent]:
        """The decision; none where all there is are words that the text encoder does not know."""
        if utterance.text and self._wait_for_words:
            utterance = self._check_words(utterance)
        is_late = utterance.is_speech and not utterance.text and not self._wait_for_words
        turn = self._dialogue.prepare(*find_words(utterance, None if is_late else self._listen))
        if not turn.tokens:
            return []
        number = self._count
        self._count += 1
        if is_late and self._listen is not None:
            words = self._listener.submit(self._listen, utterance)
            self._pending.append(_Pending(number, turn, words))
        if self._choose_baselines is not None:
            turn = replace(turn, baselines=self._choose_baselines(turn))
        return [StreamEvent("final", number, self._dialogue.decide(turn), at)]
