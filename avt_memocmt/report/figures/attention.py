"""Who read from whom: the six directed attention maps of one decision in a figure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axis import XAxis, YAxis
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
_SMALLEST, _LARGEST = 3.6, 5.0  # widths of a panel
_SHAPE = 0.72  # height of a panel, divided by its width
_MARGIN = 1.8  # beside a panel: labels and scale
_THUMBNAIL = 0.36
_LINE = 0.17  # height of a label
_CHARACTER = 0.09  # width of a character of a label

_LONGEST = 14  # characters of a label


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
    faces = [face.crop for face in explanation.turn.utterance.faces]
    shown = f"{headline(explanation)}\n{_shown(layer, head)}"
    return attention_maps(explanation.attention, shown, faces, layer=layer, head=head)


def attention_maps(
    attention: DecisionAttention,
    title: str,
    faces: Sequence[NDArray[np.uint8]] = (),
    directions: Sequence[tuple[str, str]] = DIRECTIONS,
    layer: int | None = None,
    head: int | None = None,
) -> Figure:
    """`attention_figure` of any decision.

    Args:
        attention: of the decision.
        title: above the maps.
        faces: RGB [height, width, 3] each, shown at rows and columns; none: their times alone.
        directions: (target, source) of the maps that are drawn, at least one.
        layer, head: as of `attention_figure`.
    """
    longest = max((len(axis.labels) for axis in attention.axes.values()), default=0)
    width = min(max(_SMALLEST, _CELL * longest), _LARGEST)
    height = width * _SHAPE
    rows = math.ceil(len(directions) / 2)
    size = 2 * (width + _MARGIN), rows * (height + _MARGIN)
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(title, parse_math=False)
    for panel, (target, source) in zip(figure.subplots(rows, 2).flat, directions, strict=False):
        title = f"{MODALITY_NAMES[target]} (rows) read from {MODALITY_NAMES[source]} (columns)"
        panel.set_title(title, fontsize=NORMAL)
        absent = [m for m in (target, source) if m not in attention.axes]
        if absent:
            panel.set_xticks([])
            say_absent(panel, absent)
            continue
        weights = _weights(attention, (target, source), layer, head)
        image = panel.imshow(weights, ATTENTION, vmin=0, aspect="auto")
        figure.colorbar(image, ax=panel, pad=0.01).ax.tick_params(labelsize=NORMAL)
        for side, modality, inches in (
            (panel.yaxis, target, height),
            (panel.xaxis, source, width),
        ):
            pictures = faces if modality == "visual" else ()
            _label(side, attention.axes[modality], pictures, inches)
    return figure


def _shown(layer: int | None, head: int | None) -> str:
    if layer is None and head is None:
        return "attention rollout: the layers multiplied out, mean of the heads"
    layers = "mean of the layers" if layer is None else f"layer {layer + 1}"
    heads = "mean of the heads" if head is None else f"head {head + 1}"
    return f"attention of {layers}, {heads}: shares of what each row read"


def _weights(
    attention: DecisionAttention, pair: tuple[str, str], layer: int | None, head: int | None
) -> NDArray[np.float64]:
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
    axis: XAxis | YAxis, tokens: Axis, pictures: Sequence[NDArray[np.uint8]], inches: float
) -> None:
    """Name the rows (y axis) or columns (x axis) of a map, as many as there is room for."""
    labels = tokens.labels
    is_x, pictured = axis.axis_name == "x", bool(pictures)
    room = _LINE
    if pictured:
        # Times stand beside each other below a map, and above each other beside it.
        widest = max(map(len, labels)) * _CHARACTER if is_x else 0.0
        room = max(_THUMBNAIL * 1.15, widest)
    step = max(1, math.ceil(room * len(labels) / inches))
    places = [0, *range(step, len(labels), step)]
    axis.set_ticks(places, [_shortened(labels[place]) for place in places], fontsize=NORMAL)
    for text in axis.get_ticklabels():
        text.set_parse_math(False)
    if pictured:
        axis.set_tick_params(pad=_THUMBNAIL * POINTS_PER_INCH + 6)
    elif is_x:
        axis.set_tick_params(rotation=90)
    for place in places[1:] if pictured else ():
        add_picture(
            axis.axes,
            pictures[place - 1],
            _THUMBNAIL,
            xy=(place, 0) if is_x else (0, place),
            xycoords=("data", "axes fraction") if is_x else ("axes fraction", "data"),
            xybox=(0, -5) if is_x else (-5, 0),
            boxcoords="offset points",
            box_alignment=(0.5, 1.0) if is_x else (1.0, 0.5),
        )


def _shortened(label: str) -> str:
    return label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…"
