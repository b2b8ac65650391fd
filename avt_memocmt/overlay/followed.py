"""Where each face is at any moment between the pictures in which it was looked for."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from avt_memocmt.inference.results import SampledFace

Box = tuple[float, float, float, float]
"""Left, top, width and height, pixels."""

_MISSED = 1.5
"""Distance of a picture in which a face is not found to the one before, by which the next may be
farther away: one miss does not end the way of a face."""
_HELD = 0.2
"""Seconds for which a face stays where it was seen last, at most."""
_JUMP = 1.0
"""Sides of its box by which a face moves from one look to the next at most; more is a cut."""


@dataclass(frozen=True)
class PlacedFace:
    """A face at a moment.

    Attributes:
        id: as of `SampledFace`.
        box: where it is.
        speaks: as of `SampledFace`.
    """

    id: str | None
    box: Box
    speaks: bool


class FollowedFaces:
    """The faces of a film, asked for at times that do not run back.

    Args:
        faces: all that were sampled.
    """

    def __init__(self, faces: Sequence[SampledFace]) -> None:
        self._runs = sorted(_runs(faces), key=lambda run: run[0].time)
        self._next = 0
        self._active: list[Sequence[SampledFace]] = []

    def at(self, time: float) -> list[PlacedFace]:
        """The faces that are on the screen, in seconds from the start of the media."""
        while self._next < len(self._runs) and self._runs[self._next][0].time <= time:
            self._active.append(self._runs[self._next])
            self._next += 1
        self._active = [run for run in self._active if _end(run) >= time]
        return [_placed(run, time) for run in self._active]


def _runs(faces: Sequence[SampledFace]) -> list[Sequence[SampledFace]]:
    """The looks at each face, in stretches without a gap."""
    by_id: dict[str | None, list[SampledFace]] = defaultdict(list)
    for face in faces:
        by_id[face.id].append(face)
    runs: list[Sequence[SampledFace]] = []
    for looks in by_id.values():
        looks.sort(key=lambda face: face.time)
        cuts = [
            n
            for n, (a, b) in enumerate(pairwise(looks), 1)
            if b.time > a.until + _MISSED * (a.until - a.time)
        ]
        runs += [looks[a:b] for a, b in pairwise([0, *cuts, len(looks)])]
    return runs


def _end(run: Sequence[SampledFace]) -> float:
    return min(run[-1].time + _HELD, run[-1].until)


def _placed(run: Sequence[SampledFace], time: float) -> PlacedFace:
    at = bisect_right(run, time, key=lambda face: face.time) - 1
    before, after = run[at], run[min(at + 1, len(run) - 1)]
    start, end = np.array(before.box), np.array(after.box)
    share = 0.0
    if after.time > before.time and not _is_jump(before.box, after.box):
        share = (time - before.time) / (after.time - before.time)
    left, top, width, height = (float(v) for v in start + share * (end - start))
    return PlacedFace(before.id, (left, top, width, height), before.speaks)


def _is_jump(before: Box, after: Box) -> bool:
    middles = [np.array([b[0] + b[2] / 2, b[1] + b[3] / 2]) for b in (before, after)]
    side = max(before[2], before[3])
    return float(np.linalg.norm(middles[1] - middles[0])) > _JUMP * side
