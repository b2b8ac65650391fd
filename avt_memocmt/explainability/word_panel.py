"""The words of an utterance at their times, coloured and numbered by their scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, to_hex
from numpy.typing import NDArray

from avt_memocmt.explainability.figure_parts import POINTS_PER_INCH, SIGNED, SMALL, signed

LANE = 0.34
"""Inches between two rows of words."""

_CHARACTER = 0.64  # mean width, of the size of type
_MOST_LANES = 8
_STRIP = 0.5  # height of the strip of word times, in lanes

Array = NDArray[np.float64]


def word_colours(scores: Array) -> list[tuple[str, str]]:
    """Background and ink of each word, "#rrggbb"; the strongest score has the fullest colour."""
    peak = float(np.abs(scores).max(initial=0.0)) or 1.0
    shades = colormaps[SIGNED](Normalize(-peak, peak)(scores))
    # Light of the sRGB primaries (ITU-R BT.709).
    light = shades[:, :3] @ (0.2126, 0.7152, 0.0722)
    inks = np.where(light < 0.45, "#ffffff", "#000000")
    return [(to_hex(shade), ink) for shade, ink in zip(shades, inks.tolist(), strict=True)]


def word_lanes(words: Sequence[str], spans: Array, seconds_per_inch: float) -> list[int]:
    """The row of each word such that labels centred on their times do not overlap.

    Args:
        words: in order of time.
        spans: seconds [words, 2].
        seconds_per_inch: of the panel.

    Returns:
        Rows from 0, the lowest that is free; where more than `_MOST_LANES` would be needed, the
        one that is free soonest.
    """
    ends: list[float] = []
    lanes = []
    for word, middle in zip(words, spans.mean(axis=1), strict=True):
        half = _label_inches(word) * seconds_per_inch / 2
        lane = next((i for i, end in enumerate(ends) if end <= middle - half), len(ends))
        if lane == _MOST_LANES:
            lane = int(np.argmin(ends))
        if lane == len(ends):
            ends.append(0.0)
        ends[lane] = middle + half
        lanes.append(lane)
    return lanes


def draw_words(
    panel: Axes, words: Sequence[str], spans: Array, scores: Array, lanes: Sequence[int]
) -> None:
    """Each word as a box with its signed score, joined to the stretch in which it is said.

    Args:
        panel: whose x axis is seconds in the utterance.
        words: in order of time.
        spans: seconds [words, 2].
        scores: [words].
        lanes: from `word_lanes`.
    """
    panel.set_ylim(-max(lanes, default=0) - 1.0, _STRIP)
    panel.set_yticks([])
    marks = zip(words, spans, scores, lanes, word_colours(scores), strict=True)
    for word, (start, end), score, lane, (shade, ink) in marks:
        panel.barh(
            _STRIP / 2, end - start, _STRIP, start, color=shade, edgecolor="black", linewidth=0.4
        )
        middle, height = (start + end) / 2, -lane - 0.55
        panel.vlines(middle, height, 0, color="black", linewidth=0.5, zorder=1)
        panel.text(
            middle,
            height,
            f"{word}\n{signed(score)}",
            ha="center",
            va="center",
            fontsize=SMALL,
            color=ink,
            parse_math=False,
            bbox={"boxstyle": "round,pad=0.2", "facecolor": shade, "linewidth": 0.4},
        )


def _label_inches(word: str) -> float:
    return (max(len(word), len("+0.000")) * _CHARACTER + 0.8) * SMALL / POINTS_PER_INCH
