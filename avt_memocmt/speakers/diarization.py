"""Who speaks when in a recording, and how that cuts an utterance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from avt_memocmt.speakers.turns import SpeakerTurn

SHORTEST_CHANGE = 0.5
"""Seconds; a change of speaker that lasts less does not cut an utterance."""

Piece = tuple[float, float, int | None]
"""Start and end in seconds, and the speaker, None where that is uncertain."""


@dataclass(frozen=True)
class Diarization:
    """The turns of a recording.

    Attributes:
        turns: in the order of their start; turns of different speakers may overlap.
        uncertain: stretches of turns, in order of time, whose speaker is the most likely one but
            may be another: too short to know a voice by, or between two voices.
    """

    turns: tuple[SpeakerTurn, ...]
    uncertain: tuple[SpeakerTurn, ...] = ()

    @property
    def speakers(self) -> tuple[int, ...]:
        """Numbers of the speakers, in the order of their first turn."""
        return tuple(dict.fromkeys(turn.speaker for turn in self.turns))

    def split(self, start: float, end: float) -> list[Piece]:
        """Cut an utterance where its main speaker changes.

        Args:
            start: seconds from the start of the media.
            end: seconds from the start of the media.

        Returns:
            Pieces that cover the utterance without a hole. Where two speak at once, whoever spoke
            before is the main speaker. Pauses between two speakers are cut in the middle.
        """
        pieces = _filled(_absorbed(self._main_speakers(start, end)), start, end)
        if not pieces:
            return [(start, end, None)]
        return _joined(
            [(s, e, who if self._is_certain(s, e, who) else None) for s, e, who in pieces]
        )

    def _main_speakers(self, start: float, end: float) -> list[Piece]:
        """Stretches with speech, each with its main speaker."""
        inside = [turn for turn in self.turns if turn.start < end and turn.end > start]
        borders = {start, end, *(t.start for t in inside), *(t.end for t in inside)}
        times = sorted(time for time in borders if start <= time <= end)
        found: list[Piece] = []
        for left, right in pairwise(times):
            active = [turn for turn in inside if turn.start <= left and turn.end >= right]
            if active:
                who = {turn.speaker for turn in active}
                before = found[-1][2] if found else None
                main = before if before in who else max(active, key=_length).speaker
                found.append((left, right, main))
        return found

    def _is_certain(self, start: float, end: float, speaker: int | None) -> bool:
        """Whether most of what the speaker says in a stretch is known to be his."""
        said = _overlap(self.turns, start, end, speaker)
        doubtful = _overlap(self.uncertain, start, end, speaker)
        return said > 0 and doubtful <= said / 2


def _length(turn: SpeakerTurn) -> float:
    return turn.end - turn.start


def _overlap(turns: Sequence[SpeakerTurn], start: float, end: float, speaker: int | None) -> float:
    """Seconds of one speaker's turns between two times."""
    return sum(
        max(0.0, min(turn.end, end) - max(turn.start, start))
        for turn in turns
        if turn.speaker == speaker
    )


def _filled(pieces: list[Piece], start: float, end: float) -> list[Piece]:
    """The same pieces, widened so that they cover a span without a hole."""
    borders = [(a[1] + b[0]) / 2 for a, b in pairwise(pieces)]
    starts, ends = [start, *borders], [*borders, end]
    return [(s, e, who) for s, e, (_, _, who) in zip(starts, ends, pieces, strict=bool(pieces))]


def _joined(pieces: list[Piece]) -> list[Piece]:
    """Neighbours of one speaker as one piece."""
    joined: list[Piece] = []
    for start, end, who in pieces:
        if joined and joined[-1][2] == who:
            joined[-1] = (joined[-1][0], end, who)
        else:
            joined.append((start, end, who))
    return joined


def _absorbed(pieces: list[Piece]) -> list[Piece]:
    """Pieces that are too short go to their longer neighbour, the shortest first."""
    pieces = _joined(pieces)
    while len(pieces) > 1:
        at = min(range(len(pieces)), key=lambda i: pieces[i][1] - pieces[i][0])
        start, end, _ = pieces[at]
        if end - start >= SHORTEST_CHANGE:
            break
        beside = [i for i in (at - 1, at + 1) if 0 <= i < len(pieces)]
        longest = max(beside, key=lambda i: pieces[i][1] - pieces[i][0])
        pieces[at] = (start, end, pieces[longest][2])
        pieces = _joined(pieces)
    return pieces
