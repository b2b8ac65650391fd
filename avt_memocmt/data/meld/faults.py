"""The faults of a MELD folder that its transcripts alone show."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

from avt_memocmt.data.faults import Fault, FaultKind, clip_fault
from avt_memocmt.data.meld.table import MeldRow

ONE_FRAME = 1 / 25
"""Seconds; a shorter span in the table is less than one picture, and so an error of the table."""

OVERLAP_TOLERANCE = 0.1
"""Seconds by which turns that follow one another may overlap: clips are cut at whole frames."""

_JOINT_SPEAKERS = re.compile(r".+(?: and |/|&|,).+|all|both|everyone", re.IGNORECASE)


def transcript_faults(rows: Sequence[MeldRow]) -> list[Fault]:
    """Faults that the rows of one split, ordered by key, show without any clip."""
    faults = [fault for row in rows for fault in _row_faults(row)]
    dialogues = [list(turns) for _, turns in groupby(rows, lambda row: row.key.dialogue_id)]
    for turns in dialogues:
        faults += _dialogue_faults(turns)
    for last, turn in pairwise(turns[0].key for turns in dialogues):
        if turn.dialogue_id > last.dialogue_id + 1:
            detail = f"follows dia{last.dialogue_id}"
            faults.append(Fault(FaultKind.ID_GAP, turn.split, f"dia{turn.dialogue_id}", detail))
    return faults


def _row_faults(row: MeldRow) -> Iterator[Fault]:
    if row.duration < ONE_FRAME:
        yield clip_fault(FaultKind.ZERO_DURATION, row.key, f"{row.end - row.start:.3f} s")
    if row.is_repaired:
        yield clip_fault(FaultKind.TEXT_REPAIRED, row.key)
    if not row.text:
        yield clip_fault(FaultKind.NO_WORDS, row.key)
    if _JOINT_SPEAKERS.fullmatch(row.speaker):
        yield clip_fault(FaultKind.JOINT_SPEAKERS, row.key, row.speaker)


def _dialogue_faults(turns: Sequence[MeldRow]) -> Iterator[Fault]:
    if len(turns) == 1:
        yield clip_fault(FaultKind.SINGLE_TURN, turns[0].key)
    if turns[0].key.utterance_id > 0:
        yield clip_fault(FaultKind.ID_GAP, turns[0].key, "the first of its dialogue")
    for last, turn in pairwise(turns):
        if turn.key.utterance_id > last.key.utterance_id + 1:
            detail = f"follows utt{last.key.utterance_id}"
            yield clip_fault(FaultKind.ID_GAP, turn.key, detail)
        if turn.start < last.start:
            detail = f"{last.start - turn.start:.2f} s before utt{last.key.utterance_id}"
            yield clip_fault(FaultKind.OUT_OF_ORDER, turn.key, detail)
        elif turn.start < last.end - OVERLAP_TOLERANCE:
            detail = f"{last.end - turn.start:.2f} s of utt{last.key.utterance_id}"
            yield clip_fault(FaultKind.OVERLAP, turn.key, detail)
