"""From which utterances of a set each speaker's baseline is taken; see `SpeakerBaselines`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from avt_memocmt.errors import AvtError

NamedScope = Literal["off", "past", "all"]
"""Of an utterance's speaker: "off" = none; "past" = the earlier turns of the dialogue; "all" = all
other utterances of the set."""
BaselineScope = NamedScope | int
"""The same, or how many of the other utterances, drawn at random but always the same."""


def read_scope(text: str) -> BaselineScope:
    """Read what a user wrote: off, past, all, or a whole number of 1 or more.

    Raises:
        AvtError: it is none of these.
    """
    named: dict[str, NamedScope] = {"off": "off", "past": "past", "all": "all"}
    if text in named:
        return named[text]
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise AvtError(
        f"the speaker baseline {text!r} is unknown; give off, past, all, or how many other "
        "utterances of the speaker it is the mean of, 1 or more."
    )


def require_speakers(scope: BaselineScope, speakers: Iterable[str | None]) -> None:
    """Check that somebody is named where baselines are to be taken from the whole set.

    Raises:
        AvtError: nobody is.
    """
    if scope not in ("off", "past") and not any(speakers):
        raise AvtError(
            f"the speaker baseline {scope} needs the column speaker, which names nobody here; fill "
            "it, or give past."
        )
