"""A turn of one speaker."""

from __future__ import annotations

from dataclasses import dataclass


def speaker_name(number: int) -> str:
    """What a speaker is called whom nobody has named: S1, S2 and so on.

    Args:
        number: from 0.
    """
    return f"S{number + 1}"


@dataclass(frozen=True)
class SpeakerTurn:
    """A stretch in which one speaker is heard.

    Attributes:
        start: seconds from the start of the media.
        end: seconds from the start of the media.
        speaker: number of the speaker, from 0 in the order of appearance.
    """

    start: float
    end: float
    speaker: int
