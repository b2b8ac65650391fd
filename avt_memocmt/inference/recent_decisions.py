"""The latest decisions of a stream, which may get another speaker later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from avt_memocmt.inference.found_speakers import MOST_OPEN, UNCERTAIN
from avt_memocmt.inference.results import StreamEvent


class RecentDecisions:
    """Remembers what was decided about the latest utterances of a stream."""

    def __init__(self) -> None:
        # By the start of the utterance.
        self._events: dict[float, StreamEvent] = {}
        self._speakers: dict[float, str | None] = {}

    def add(self, events: Sequence[StreamEvent]) -> list[StreamEvent]:
        """Remember decisions, and return them with the speakers that were found since."""
        found = [self._relabelled(event) for event in events]
        self._events |= {event.prediction.start: event for event in found}
        for start in list(self._events)[:-MOST_OPEN]:
            del self._events[start]
            self._speakers.pop(start, None)
        return found

    def relabel(self, start: float, speaker: str | None, at: float) -> list[StreamEvent]:
        """The decision on an utterance anew, with another speaker; none if it is not remembered.

        Only the name changes: what was felt was decided with what was known then.

        Args:
            start: of the utterance, in seconds.
            speaker: who speaks in it.
            at: seconds of the stream read so far.
        """
        if start not in self._events:
            return []
        self._speakers[start] = speaker
        return self.add([replace(self._events[start], kind="revised", at=at)])

    def _relabelled(self, event: StreamEvent) -> StreamEvent:
        decided = event.prediction
        if decided.start not in self._speakers:
            return event
        speaker = self._speakers[decided.start]
        warnings = tuple(name for name in decided.warnings if name != UNCERTAIN)
        if speaker is None:
            warnings += (UNCERTAIN,)
        return replace(event, prediction=replace(decided, speaker=speaker, warnings=warnings))
