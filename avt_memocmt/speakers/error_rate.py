"""The diarisation error rate of what was found, against who really speaks."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from avt_memocmt.errors import AvtError
from avt_memocmt.speakers.rttm import NamedTurn, read_rttm, read_uem

COLLAR = 0.25
"""Seconds before and after each border of a reference turn that the lenient figure leaves out."""


@dataclass(frozen=True)
class ErrorRate:
    """Seconds of speech, of each speaker in overlap, by what was found about them.

    Attributes:
        total: speech of the reference.
        missed: speech of the reference that was not found.
        false_alarm: found speech that the reference does not have.
        confusion: speech found as that of somebody else. Names do not matter: those found are
            matched to those of the reference so that this is least.
    """

    total: float
    missed: float
    false_alarm: float
    confusion: float

    @property
    def rate(self) -> float:
        """Diarisation error rate: all errors as a share of the total, which it may exceed."""
        return sum(self.shares)

    @property
    def shares(self) -> tuple[float, float, float]:
        """Missed, false alarm and confusion as shares of the total; of 1 s where there is none."""
        total = self.total or 1.0
        return self.missed / total, self.false_alarm / total, self.confusion / total


def error_rate(
    reference: Sequence[NamedTurn],
    found: Sequence[NamedTurn],
    scored: Sequence[tuple[float, float]],
    collar: float,
) -> ErrorRate:
    """Score one recording; overlap counts.

    Args:
        reference: who really speaks.
        found: the turns to score.
        scored: stretches in seconds in which errors count.
        collar: seconds before and after each border of a reference turn that do not count.
    """
    from pyannote.core import Segment, Timeline
    from pyannote.metrics.diarization import DiarizationErrorRate

    # There a collar is the whole width of what is left out around a border.
    metric = DiarizationErrorRate(collar=2 * collar)
    uem = Timeline(Segment(start, end) for start, end in scored)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parts = metric(_annotation(reference), _annotation(found), uem=uem, detailed=True)
    return ErrorRate(
        parts["total"], parts["missed detection"], parts["false alarm"], parts["confusion"]
    )


def sum_of(rates: Iterable[ErrorRate]) -> ErrorRate:
    """The error rate of several recordings as if they were one; names are matched in each."""
    rates = list(rates)
    return ErrorRate(
        sum(rate.total for rate in rates),
        sum(rate.missed for rate in rates),
        sum(rate.false_alarm for rate in rates),
        sum(rate.confusion for rate in rates),
    )


def _annotation(turns: Sequence[NamedTurn]) -> object:
    from pyannote.core import Annotation, Segment

    annotation = Annotation()
    for number, turn in enumerate(turns):
        annotation[Segment(turn.start, turn.end), number] = turn.speaker
    return annotation


@dataclass(frozen=True)
class Score:
    """How right the turns of one recording are.

    Attributes:
        recording: its name.
        true_speakers: how many speak in the reference.
        found_speakers: how many were found.
        strict: errors everywhere.
        lenient: errors farther than `COLLAR` from the borders of the reference's turns.
    """

    recording: str
    true_speakers: int
    found_speakers: int
    strict: ErrorRate
    lenient: ErrorRate


class Reference:
    """Who really speaks in some recordings, and which stretches of them are scored.

    Args:
        rttm: file of the turns.
        uem: file of the stretches; None scores each recording up to its last turn.

    Raises:
        AvtError: as of `read_rttm` and `read_uem`.
    """

    def __init__(self, rttm: Path, uem: Path | None) -> None:
        self._path = rttm
        self._turns = read_rttm(rttm)
        self._scored = None if uem is None else read_uem(uem)

    def __iter__(self) -> Iterator[str]:
        return iter(self._turns)

    def count(self, recording: str) -> int:
        """How many speak in a recording.

        Raises:
            AvtError: the reference does not have it.
        """
        if recording not in self._turns:
            names = ", ".join(list(self._turns)[:5])
            raise AvtError(
                f'{self._path} has no recording "{recording}" (it has {names}); a file is scored '
                "under its name without the ending."
            )
        return len({turn.speaker for turn in self._turns[recording]})

    def score(self, recording: str, found: Sequence[NamedTurn]) -> Score:
        """Score the turns that were found in a recording.

        Raises:
            AvtError: the reference, or the UEM file, does not have it.
        """
        true_speakers = self.count(recording)
        turns = self._turns[recording]
        if self._scored is None:
            spans = [(0.0, max(turn.end for turn in (*turns, *found)))]
        elif recording in self._scored:
            spans = self._scored[recording]
        else:
            raise AvtError(f'the UEM file has no recording "{recording}"; add its line.')
        return Score(
            recording,
            true_speakers,
            len({turn.speaker for turn in found}),
            error_rate(turns, found, spans, 0.0),
            error_rate(turns, found, spans, COLLAR),
        )
