"""Who read from whom: the six directed attention maps of one decision in a figure."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from avt_memocmt.explainability.attention_visualization import Axis, DecisionAttention
from avt_memocmt.explainability.explanation import UtteranceExplanation
from avt_memocmt.models.cross_modal_transformer import DIRECTIONS
from avt_memocmt.report.figures.common import (
    NORMAL,
    POINTS_PER_INCH,
    add_picture,
    headline,
    say_absent,
)
from avt_memocmt.wording import MODALITY_NAMES

ATTENTION = "cividis"
"""Colour map of attention; perceptually uniform and the same to colour-blind eyes."""

# Inches.
_CELL = 0.13  # where every row and column can be labelled
_SMALLEST, _LARGEST = 3.6, 5.0  # sides of a panel
_MARGIN = 1.8  # beside a panel: labels and scale
_THUMBNAIL = 0.36
_LINE = 0.17  # between two labels
_CHARACTER = 0.09  # of a label

_LONGEST = 14  # characters of a label

Array = NDArray[np.float64]


def attention_figure(
    explanation: UtteranceExplanation, *, layer: int | None = None, head: int | None = None
) -> Figure:
    """Six heatmaps: the rows are the tokens that read, the columns those that were read from.

    Words stand at the axes as words, sound as its time in the recording, faces as small pictures
    with their times; "state" is the learned token before each modality's own. Colours run from 0
    to the largest share of each map.

    Args:
        explanation: of one utterance.
        layer: number from 0; None: all.
        head: number from 0; None: the mean of all. With neither: attention rollout.

    Raises:
        ValueError: the network has no such layer or head.
    """
    attention = explanation.attention
    side = _panel_side(attention)
    figure = Figure(
        figsize=(2 * (side + _MARGIN), 3 * (side * 0.72 + _MARGIN)), layout="constrained"
    )
    figure.suptitle(f"{headline(explanation)}\n{_shown(layer, head)}", parse_math=False)
    for panel, pair in zip(figure.subplots(3, 2).flat, DIRECTIONS, strict=True):
        target, source = pair
        panel.set_title(
            f"{MODALITY_NAMES[target]} (rows) read from {MODALITY_NAMES[source]} (columns)",
            fontsize=NORMAL,
        )
        absent = [m for m in pair if m not in attention.axes]
        if absent:
            panel.set_xticks([])
            say_absent(panel, absent)
            continue
        image = panel.imshow(
            _weights(attention, pair, layer, head), ATTENTION, vmin=0, aspect="auto"
        )
        figure.colorbar(image, ax=panel, pad=0.01).ax.tick_params(labelsize=NORMAL)
        _label(panel, "y", attention.axes[target], explanation, target, side * 0.72)
        _label(panel, "x", attention.axes[source], explanation, source, side)
    return figure


def _panel_side(attention: DecisionAttention) -> float:
    """Inches that the longest axis needs."""
    longest = max((len(axis.labels) for axis in attention.axes.values()), default=0)
    return min(max(_SMALLEST, _CELL * longest), _LARGEST)


def _shown(layer: int | None, head: int | None) -> str:
    if layer is None and head is None:
        return "attention rollout: the layers multiplied out, mean of the heads"
    layers = "mean of the layers" if layer is None else f"layer {layer + 1}"
    heads = "mean of the heads" if head is None else f"head {head + 1}"
    return f"attention of {layers}, {heads}: shares of what each row read"


def _weights(
    attention: DecisionAttention, pair: tuple[str, str], layer: int | None, head: int | None
) -> Array:
    """[target groups, source groups]."""
    if layer is None and head is None:
        return attention.rollout[pair]
    maps = attention.maps[pair]
    for name, number, count in (("layer", layer, maps.shape[0]), ("head", head, maps.shape[1])):
        if number is not None and not 0 <= number < count:
            raise ValueError(f"{name} {number} is none of the {count} there are")
    layers = maps if layer is None else maps[[layer]]
    return (layers if head is None else layers[:, [head]]).mean(axis=(0, 1))


def _label(
    panel: Axes,
    side: Literal["x", "y"],
    axis: Axis,
    explanation: UtteranceExplanation,
    modality: str,
    inches: float,
) -> None:
    """Name the rows ("y") or columns ("x") of a map, as many as there is room for."""
    count = len(axis.labels)
    pictured = modality == "visual"
    room = _LINE
    if pictured:
        # Times stand beside each other below a map, and above each other beside it.
        widest = max(map(len, axis.labels)) * _CHARACTER if side == "x" else 0.0
        room = max(_THUMBNAIL * 1.15, widest)
    step = max(1, math.ceil(room * count / inches))
    places = [0, *range(step, count, step)]
    set_ticks = panel.set_xticks if side == "x" else panel.set_yticks
    set_ticks(places, [_shortened(axis.labels[place]) for place in places], fontsize=NORMAL)
    for text in panel.get_xticklabels() if side == "x" else panel.get_yticklabels():
        text.set_parse_math(False)
    if pictured:
        panel.tick_params(axis=side, pad=_THUMBNAIL * POINTS_PER_INCH + 6)
        for place in places[1:]:
            _add_face(panel, side, place, explanation.turn.utterance.faces[place - 1].crop)
    if side == "x" and not pictured:
        panel.tick_params(axis="x", rotation=90)


def _add_face(panel: Axes, side: Literal["x", "y"], place: int, crop: NDArray[np.uint8]) -> None:
    across = side == "x"
    add_picture(
        panel,
        crop,
        _THUMBNAIL,
        xy=(place, 0) if across else (0, place),
        xycoords=("data", "axes fraction") if across else ("axes fraction", "data"),
        xybox=(0, -5) if across else (-5, 0),
        boxcoords="offset points",
        box_alignment=(0.5, 1.0) if across else (1.0, 0.5),
    )


def _shortened(label: str) -> str:
    return label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…"
