"""What the speakers of a whole file are like, for a recogniser that reads it twice."""

from __future__ import annotations

from avt_memocmt.data.speaker_baselines import Baseline, SpeakerBaselines
from avt_memocmt.inference.dialogue import PreparedTurn


class FileBaselines:
    """The baselines of a whole file: its turns are counted in at the first of two readings."""

    def __init__(self) -> None:
        self._known = SpeakerBaselines()

    def count_in(self, turn: PreparedTurn) -> dict[str, Baseline]:
        """Keep a turn, which is judged against nothing yet."""
        self._known.add(turn.utterance.speaker, turn.tokens)
        return {}

    def without(self, turn: PreparedTurn) -> dict[str, Baseline]:
        """The baselines of a turn that was counted in, from all others of its speaker."""
        return self._known.of(turn.utterance.speaker, without=turn.tokens)
