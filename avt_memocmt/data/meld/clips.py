"""What is wrong with MELD's clips, by their beginnings and the table."""

from __future__ import annotations

from collections.abc import Iterator

from avt_memocmt.data.clip_probe import ClipProbe
from avt_memocmt.data.faults import Fault, FaultKind, clip_fault
from avt_memocmt.data.meld.faults import ONE_FRAME
from avt_memocmt.data.meld.table import MeldRow

TOO_SHORT = 0.3
"""Seconds; about 220 clips of the release are shorter."""

TOO_LONG = 30.0
"""Seconds; a few clips of the release are longer, up to 305 s."""

MISMATCH_SECONDS = 1.0
MISMATCH_SHARE = 0.5
"""A clip and its row disagree if they differ by more than both; the share is of the longer."""


def clip_faults(row: MeldRow, probe: ClipProbe) -> Iterator[Fault]:
    """What is wrong with the clip of one row."""
    if probe.refusal is not None:
        yield clip_fault(FaultKind.UNDECODABLE, row.key, probe.refusal)
        return
    if not probe.has_sound:
        yield clip_fault(FaultKind.NO_SOUND, row.key)
    if not probe.has_pictures:
        yield clip_fault(FaultKind.NO_PICTURES, row.key)
    if probe.duration is None:
        return
    if probe.duration < TOO_SHORT:
        yield clip_fault(FaultKind.TOO_SHORT, row.key, f"{probe.duration:.2f} s")
    if probe.duration > TOO_LONG:
        yield clip_fault(FaultKind.TOO_LONG, row.key, f"{probe.duration:.1f} s")
    longer = max(row.duration, probe.duration)
    tolerance = max(MISMATCH_SECONDS, MISMATCH_SHARE * longer)
    if row.duration >= ONE_FRAME and abs(row.duration - probe.duration) > tolerance:
        detail = f"clip {probe.duration:.2f} s, table {row.duration:.2f} s"
        yield clip_fault(FaultKind.DURATION_MISMATCH, row.key, detail)
