"""How many speakers a media has, as its user says, and what they are called."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from avt_memocmt.errors import AvtError
from avt_memocmt.preprocessing.text_file import read_text_file
from avt_memocmt.speakers.installed import require_speakers, speakers_installed

SpeakerCount = int | str
"""How many speak, as a number or text; "auto" = found out, where the extra `speakers` is installed;
"off" = nobody is told apart."""
SpeakerNames = Mapping[str, str] | str | os.PathLike[str]
"""The name of a person by the id of a speaker, or the path of a file of such lines as S1 = Anna."""

MOST_SPEAKERS = 20
_MOST_BYTES = 100_000


@dataclass(frozen=True)
class SpeakerSettings:
    """What is asked for about the speakers of a media.

    Attributes:
        count: see `SpeakerCount`.
        least: fewest that "auto" may find.
        most: most that it may find.
        names: of people, by the id of a speaker.
    """

    count: int | Literal["auto", "off"] = "auto"
    least: int = 1
    most: int = MOST_SPEAKERS
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_wanted(self) -> bool:
        """Whether voices are to be told apart, and can be."""
        return self.count != "off" and (self.count != "auto" or speakers_installed())

    @property
    def known_count(self) -> int | None:
        """How many speak, where the user says it."""
        return self.count if isinstance(self.count, int) else None


NO_WISHES = SpeakerSettings()
"""Found out as far as it can be."""


def speaker_settings(
    count: Any,
    least: int | None = None,
    most: int | None = None,
    names: SpeakerNames | None = None,
) -> SpeakerSettings:
    """Check what a caller asks for.

    Args:
        count: see `SpeakerCount`; text as a user writes it will do.
        least: fewest speakers; None = 1.
        most: most speakers; None = `MOST_SPEAKERS`.
        names: see `SpeakerNames`.

    Raises:
        AvtError: a number is out of its range, the names cannot be read, or a number of speakers is
            given without the extra `speakers`.
    """
    if isinstance(count, str) and count.isdecimal():
        count = int(count)
    is_number = isinstance(count, int) and not isinstance(count, bool)
    if count not in ("auto", "off") and not (is_number and 1 <= count <= MOST_SPEAKERS):
        raise AvtError(
            f"{count!r} is no number of speakers; give auto, off, or 1 to {MOST_SPEAKERS}."
        )
    if count != "auto" and (least is not None or most is not None):
        raise AvtError("the least and most speakers bound what auto finds; leave them out here.")
    found = SpeakerSettings(count, least or 1, most or MOST_SPEAKERS, _names(names))
    if not 1 <= found.least <= found.most:
        raise AvtError(
            f"at least {found.least} and at most {found.most} speakers cannot be; give 1 or more, "
            "the least not above the most."
        )
    if is_number or least is not None or most is not None:
        require_speakers()
    return found


def _names(given: SpeakerNames | None) -> Mapping[str, str]:
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return dict(given)
    return read_speaker_names(Path(given))


def read_speaker_names(path: Path) -> dict[str, str]:
    """Read lines such as "S1 = Anna"; empty lines and those that begin with # are left out.

    Raises:
        AvtError: the file cannot be read, a line is no such line, or a speaker is named twice.
    """
    names: dict[str, str] = {}
    lines = re.split(r"\r\n|\r|\n", read_text_file(path, "the names of speakers", _MOST_BYTES))
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        speaker, equals, name = (part.strip() for part in line.partition("="))
        if not (speaker and equals and name):
            raise AvtError(f"{path}: line {number} names nobody; write it as S1 = Anna.")
        if speaker in names:
            raise AvtError(f"{path}: line {number} names {speaker} again; keep one of the lines.")
        names[speaker] = name
    return names
