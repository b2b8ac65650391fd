"""RTTM files, which say who speaks when, and UEM files, which say what of a recording is scored.

Both formats are those of NIST's Rich Transcription evaluations (RT-09 evaluation plan, appendix A):
a line of fields parted by blanks for each turn or stretch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from avt_memocmt.errors import AvtError
from avt_memocmt.preprocessing.text_file import read_text_file
from avt_memocmt.speakers.turns import SpeakerTurn, speaker_name

_OTHER_TYPES = {
    "SEGMENT", "NOSCORE", "NO_RT_METADATA", "LEXEME", "NON-LEX", "NON-SPEECH", "FILLER", "EDIT",
    "SU", "IP", "CB", "A/P", "SPKR-INFO",
}  # fmt: skip
"""Types of lines that are no turns."""
_LONGEST = 1e7
"""Seconds; a time beyond this is a broken file."""
_MOST_BYTES = 50_000_000


@dataclass(frozen=True)
class NamedTurn:
    """A turn of a file: seconds, and the speaker's name."""

    start: float
    end: float
    speaker: str


def rttm_text(recording: str, turns: Iterable[SpeakerTurn | NamedTurn]) -> str:
    """The turns of a recording as the text of an RTTM file; speakers by number are S1, S2, ..."""
    return "".join(f"{_rttm_line(recording, turn)}\n" for turn in turns)


def _rttm_line(recording: str, turn: SpeakerTurn | NamedTurn) -> str:
    name = turn.speaker if isinstance(turn, NamedTurn) else speaker_name(turn.speaker)
    return (
        f"SPEAKER {_field(recording)} 1 {turn.start:.3f} {turn.end - turn.start:.3f} "
        f"<NA> <NA> {_field(name)} <NA> <NA>"
    )


def _field(name: str) -> str:
    """A name without blanks, at which the fields of a line part."""
    return "_".join(name.split()) or "_"


def read_rttm(path: Path) -> dict[str, list[NamedTurn]]:
    """The turns of each recording that an RTTM file names; lines of other types are left out.

    Raises:
        AvtError: the file cannot be read, holds no turn, or has a broken line.
    """
    turns: dict[str, list[NamedTurn]] = {}
    for where, fields in _lines(path):
        if fields[0] in _OTHER_TYPES:
            continue
        if fields[0] != "SPEAKER" or len(fields) < 8:
            raise _broken(where, "SPEAKER NAME 1 START SECONDS <NA> <NA> SPEAKER <NA> <NA>")
        start, seconds = _time(where, fields[3]), _time(where, fields[4])
        if seconds > 0:
            turn = NamedTurn(start, start + seconds, fields[7])
            turns.setdefault(fields[1], []).append(turn)
    if not turns:
        raise AvtError(f"{path} has no line SPEAKER; give an RTTM file.")
    return turns


def read_uem(path: Path) -> dict[str, list[tuple[float, float]]]:
    """The stretches of each recording that a UEM file lists, in seconds.

    Raises:
        AvtError: the file cannot be read, is empty, or has a broken line.
    """
    spans: dict[str, list[tuple[float, float]]] = {}
    for where, fields in _lines(path):
        if len(fields) != 4:
            raise _broken(where, "NAME 1 START END")
        start, end = _time(where, fields[2]), _time(where, fields[3])
        if start >= end:
            raise AvtError(f"{where}: the stretch ends before it starts; correct the times.")
        spans.setdefault(fields[0], []).append((start, end))
    if not spans:
        raise AvtError(f"{path} lists no stretch; give a UEM file.")
    return spans


def _lines(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Where each line stands, and its fields; empty lines and comments are left out."""
    for number, line in enumerate(
        read_text_file(path, "the list of turns", _MOST_BYTES).splitlines(), start=1
    ):
        fields = line.split()
        if fields and not fields[0].startswith((";;", "#")):
            yield f"{path}, line {number}", fields


def _time(where: str, text: str) -> float:
    try:
        time = float(text)
    except ValueError:
        time = math.nan
    if not 0 <= time <= _LONGEST:
        raise AvtError(f'{where}: "{text[:40]}" is no time in seconds; correct the line.')
    return time


def _broken(where: str, form: str) -> AvtError:
    return AvtError(f"{where} is not of the form {form}; correct it.")
