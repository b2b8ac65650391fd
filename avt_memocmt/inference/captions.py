"""Captions held against the media that they are given for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from avt_memocmt.errors import AvtError
from avt_memocmt.preprocessing.transcripts import Cue, Transcript
from avt_memocmt.wording import clock

DROPPED, SHIFTED = "captions_dropped", "captions_shifted"
LONGEST = 120.0
"""Seconds that no caption lasts; an end beyond (99:59:59) is a slip of the pen."""
_HOUR = 3600.0

_REASONS = {
    "broken": "broken",
    "no_words": "without words",
    "after_end": "after the end of the media",
}


@dataclass(frozen=True)
class CaptionUse:
    """What became of the captions of a transcript.

    Attributes:
        given: how many there were.
        dropped: how many of them were left out, by the reason: "broken", "no_words", "after_end".
        shifted: seconds by which all were moved towards the start of the media.
        broken_lines: of their file, from 1.
    """

    given: int
    dropped: dict[str, int] = field(default_factory=dict)
    shifted: float = 0.0
    broken_lines: tuple[int, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """Names of the warnings of the whole input."""
        return ((DROPPED,) if self.dropped else ()) + ((SHIFTED,) if self.shifted else ())

    def to_json(self) -> dict[str, Any]:
        """The JSON object of an input's captions."""
        return {"given": self.given, "dropped": dict(self.dropped), "shifted": self.shifted}

    def sentences(self) -> str:
        """What a user should know of them; empty where all were used as they are."""
        said = []
        if self.shifted:
            said.append(
                f"all captions begin {clock(self.shifted, 0)} late, as broadcast ones do, and were "
                "moved to the start of the media."
            )
        if self.dropped:
            reasons = ", ".join(
                f"{count} {_REASONS[reason]}" for reason, count in self.dropped.items()
            )
            count = sum(self.dropped.values())
            lines = ", ".join(map(str, self.broken_lines[:5]))
            where = f"; broken at line {lines}" if lines else ""
            said.append(f"{count} of {self.given} captions were left out: {reasons}{where}.")
        return " ".join(said)


class FittedCaptions:
    """The cues of a transcript, fitted to one media.

    Captions of which most lie after the media's end, but within it when whole hours are taken off,
    are moved: broadcast times begin at one or ten hours. An end more than `LONGEST` after its
    start becomes the start of the next caption.

    Args:
        transcript: at least one cue, in time order; nothing is done where they have no times.
        duration: of the media in seconds, where it is known.

    Attributes:
        cues: as they are to be used.
        is_timed: whether they have times.
    """

    def __init__(self, transcript: Sequence[Cue], duration: float | None) -> None:
        self._source = transcript
        self.is_timed = all(cue.start is not None for cue in transcript)
        self._shift = _hours_late(transcript, duration) if self.is_timed else 0.0
        cues = list(transcript)
        if self.is_timed:
            cues = [_moved(cue, self._shift) for cue in cues]
            cues = [_ended(cue, after) for cue, after in zip(cues, [*cues[1:], None], strict=True)]
        self.cues = cues

    def use(self, seconds: float) -> CaptionUse:
        """What became of them in a media of which so many seconds were read."""
        source = self._source
        dropped = dict(source.dropped) if isinstance(source, Transcript) else {}
        given = len(source) + sum(dropped.values())
        if beyond := sum(_start(cue) >= seconds for cue in self.cues if self.is_timed):
            dropped["after_end"] = beyond
        lines = source.broken_lines if isinstance(source, Transcript) else ()
        return CaptionUse(given, dropped, self._shift, lines)

    def require_some(self, media: object, seconds: float) -> None:
        """Refuse captions that all begin after the end of a media.

        Args:
            media: its name, for the message.
            seconds: of it that were read.

        Raises:
            AvtError: they do.
        """
        if self.is_timed and all(_start(cue) >= seconds for cue in self.cues):
            raise AvtError(
                f"all captions begin after the end of {media} ({clock(seconds)} s), the first at "
                f"{clock(_start(self.cues[0]))} s; give those of this recording."
            )


def _start(cue: Cue) -> float:
    return cue.start or 0.0


def _hours_late(cues: Sequence[Cue], duration: float | None) -> float:
    """Whole hours, in seconds, that put most captions inside the media; 0 where most are in it."""
    if duration is None:
        return 0.0
    starts = [_start(cue) for cue in cues]
    shift = starts[0] // _HOUR * _HOUR
    beyond = sum(start >= duration for start in starts)
    fitting = sum(start - shift < duration for start in starts)
    return shift if min(beyond, fitting) > len(starts) / 2 else 0.0


def _moved(cue: Cue, shift: float) -> Cue:
    # Rounded, so that a moved caption is the very one that would stand at its place.
    return replace(cue, start=round(_start(cue) - shift, 6), end=round((cue.end or 0.0) - shift, 6))


def _ended(cue: Cue, after: Cue | None) -> Cue:
    start, end = _start(cue), cue.end or 0.0
    if end - start <= LONGEST:
        return cue
    following = start + LONGEST if after is None else _start(after)
    return replace(cue, end=min(following, start + LONGEST) if following > start else end)
