"""A turn of one speaker."""

from __future__ import annotations

from dataclasses import dataclass


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
