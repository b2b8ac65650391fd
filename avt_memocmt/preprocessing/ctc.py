"""Forced alignment over a CTC lattice: which frames a known target sequence occupies.

Kept here because no library that the package otherwise needs has it; it needs NumPy alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MAX_CELLS = 2**29
"""Largest lattice (frames x states) that is searched: one byte a cell, so half a gibibyte."""


def ctc_forced_align(
    log_probs: NDArray[np.floating], targets: Sequence[int], blank: int
) -> tuple[list[tuple[int, int]], float]:
    """The most probable CTC path that spells `targets` (Graves et al. 2006, section 3.1).

    Viterbi over the 2n + 1 states blank, t1, blank, t2, ..., tn, blank. From one frame to the next
    a path stays, moves on one state, or jumps the blank between two different targets; so equal
    neighbours are parted by at least one blank frame.

    Args:
        log_probs: [frames, vocabulary], natural log posteriors; they need not be normalised.
        targets: n token ids, none of them the blank.
        blank: id of the blank token.

    Returns:
        For each target its frames as (first, last + 1), in order and without overlap, and the
        path's log probability summed over all frames.

    Raises:
        ValueError: fewer frames than targets plus repeated neighbours, no path of non-zero
            probability, a blank among the targets, or a lattice above `MAX_CELLS`.
    """
    tokens = np.asarray(targets, dtype=np.int64)
    _check(len(log_probs), tokens, blank)
    states = np.full(2 * len(tokens) + 1, blank, dtype=np.int64)
    states[1::2] = tokens
    moves, final = _forward(np.asarray(log_probs, dtype=np.float32), states, blank)
    # A path ends in the last target or in the blank after it.
    last = max(range(len(states))[-2:], key=lambda state: float(final[state]))
    if not np.isfinite(final[last]):
        raise ValueError("the targets have zero probability under these posteriors")
    path = _backtrace(moves, last)
    firsts = np.searchsorted(path, np.arange(1, len(states), 2), side="left")
    ends = np.searchsorted(path, np.arange(1, len(states), 2), side="right")
    return list(zip(firsts.tolist(), ends.tolist(), strict=True)), float(final[last])


def frames_needed(targets: Sequence[int]) -> int:
    """Fewest frames that can carry `targets`: one each, and one blank between equal neighbours."""
    tokens = np.asarray(targets, dtype=np.int64)
    return len(tokens) + int(np.count_nonzero(tokens[1:] == tokens[:-1]))


def _check(frames: int, tokens: NDArray[np.int64], blank: int) -> None:
    if (tokens == blank).any():
        raise ValueError(f"the blank token {blank} cannot be a target")
    needed = frames_needed(tokens.tolist())
    if frames < max(needed, 1):
        raise ValueError(f"{len(tokens)} targets need {max(needed, 1)} frames, got {frames}")
    if frames * (2 * len(tokens) + 1) > MAX_CELLS:
        raise ValueError(f"{frames} frames x {len(tokens)} targets is more than fits in memory")


def _forward(
    log_probs: NDArray[np.float32], states: NDArray[np.int64], blank: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Best score of each state at the last frame, and how many states back each cell came from."""
    may_jump = np.zeros(len(states), dtype=bool)
    may_jump[2:] = (states[2:] != blank) & (states[2:] != states[:-2])
    moves = np.zeros((len(log_probs), len(states)), dtype=np.uint8)
    score = np.full(len(states), -np.inf)
    score[:2] = log_probs[0, states[:2]]
    step = np.full(len(states), -np.inf)
    jump = np.full(len(states), -np.inf)
    for frame in range(1, len(log_probs)):
        step[1:] = score[:-1]
        jump[2:] = np.where(may_jump[2:], score[:-2], -np.inf)
        best = np.maximum(score, step)
        moves[frame] = step > score
        moves[frame][jump > best] = 2
        score = np.maximum(best, jump) + log_probs[frame, states]
    return moves, score


def _backtrace(moves: NDArray[np.uint8], last: int) -> NDArray[np.int64]:
    """State of each frame, [frames], non-decreasing."""
    path = np.empty(len(moves), dtype=np.int64)
    path[-1] = last
    for frame in range(len(moves) - 1, 0, -1):
        path[frame - 1] = path[frame] - int(moves[frame, path[frame]])
    return path
