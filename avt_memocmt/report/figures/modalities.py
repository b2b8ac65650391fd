"""How much each modality counted: bars with numbers, for one utterance and for a dialogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from avt_memocmt.emotions import COLOURS
from avt_memocmt.explainability.explanation import UtteranceExplanation
from avt_memocmt.report.figures.common import ABSENT, HATCHES, MODALITY_COLOURS, styled
from avt_memocmt.wording import MODALITY_NAMES, percent, signed

MEASURES = (
    "contribution by attention rollout",
    "share in the gate",
    "effect of leaving it out, on the logit",
)
"""Names of the three measures, in the order of `draw_modalities`."""

_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
_ROOM = 0.28  # of a bar's length, for its number

# Of the dialogue's figure, in inches.
_COLUMN, _NARROWEST, _WIDEST, _HEIGHT = 0.8, 7.0, 24.0, 6.0
_LEAST_NUMBERED = 0.08  # share whose bar is high enough for its number
_MOST_NAMES = 40  # utterances that can be named in the widest figure
_WHITE_BOX = {"boxstyle": "round,pad=0.15", "facecolor": "white", "linewidth": 0}
_NUMBER: dict[str, Any] = {"ha": "center", "va": "center", "bbox": _WHITE_BOX}


def draw_modalities(panels: Sequence[Axes], explanation: UtteranceExplanation) -> None:
    """Draw attention rollout, gate and leave-one-out effect of each modality into three panels."""
    attention = explanation.attention
    shares = (attention.contributions, attention.gate)
    for panel, title, values in zip(panels[:2], MEASURES[:2], shares, strict=True):
        _bars(panel, title, values, {m: percent(value) for m, value in values.items()})
        panel.set_xlim(0, 1 + _ROOM)
        panel.set_xticks(_SHARES, [percent(share) for share in _SHARES])
    last, effects = panels[2], explanation.leave_one_out
    _bars(last, MEASURES[-1], effects, {m: signed(value) for m, value in effects.items()})
    reach = max((abs(value) for value in effects.values()), default=0.0) or 1.0
    last.set_xlim(-reach * (1 + 2 * _ROOM), reach * (1 + 2 * _ROOM))
    last.axvline(0, color="black", linewidth=0.6)
    last.set_xlabel("below 0: it speaks against the class")


def _bars(panel: Axes, title: str, values: Mapping[str, float], numbers: Mapping[str, str]) -> None:
    for row, (modality, name) in enumerate(ABSENT.items()):
        if modality not in values:
            panel.text(0, row, f" {name}", va="center", style="italic")
            continue
        value = values[modality]
        panel.barh(
            row, value, 0.7, color=MODALITY_COLOURS[modality], hatch=HATCHES[modality], alpha=0.85
        )
        side, number = "left" if value >= 0 else "right", f" {numbers[modality]} "
        panel.text(value, row, number, va="center", ha=side)
    panel.set_yticks(range(len(ABSENT)), [MODALITY_NAMES[m] for m in ABSENT])
    panel.set_ylim(len(ABSENT) - 0.5, -0.5)
    panel.set_title(title)


@styled
def dialogue_strip(explanations: Sequence[UtteranceExplanation]) -> Figure:
    """The contributions of each utterance by attention rollout, over its leave-one-out effects.

    The axis between them has the number of each utterance and the emotion that is explained. What
    an utterance lacks has no bar.

    Args:
        explanations: of utterances of one dialogue, in order; at least one.
    """
    width = min(max(_NARROWEST, _COLUMN * len(explanations) + 1.5), _WIDEST)
    figure = Figure(figsize=(width, _HEIGHT), layout="constrained")
    figure.suptitle("how much each modality counted")
    upper, lower = figure.subplots(2, 1, sharex=True)
    _stack_contributions(upper, explanations)
    _draw_effects(lower, explanations)
    _name_utterances(upper, explanations)
    marks = [
        Patch(facecolor=MODALITY_COLOURS[m], hatch=HATCHES[m], label=MODALITY_NAMES[m])
        for m in ABSENT
    ]
    figure.legend(handles=marks, loc="outside lower center", ncols=len(marks))
    return figure


def _stack_contributions(panel: Axes, explanations: Sequence[UtteranceExplanation]) -> None:
    places = np.arange(len(explanations))
    base = np.zeros(len(explanations))
    for m in ABSENT:
        shares = np.array([e.attention.contributions.get(m, 0.0) for e in explanations])
        panel.bar(places, shares, 0.8, base, color=MODALITY_COLOURS[m], hatch=HATCHES[m])
        if len(explanations) <= _MOST_NAMES:
            for place in np.flatnonzero(shares >= _LEAST_NUMBERED).tolist():
                middle = base[place] + shares[place] / 2
                panel.text(place, middle, percent(shares[place]), **_NUMBER)
        base += shares
    panel.set_ylim(0, 1)
    panel.set_ylabel("share")
    panel.set_title(MEASURES[0])


def _draw_effects(panel: Axes, explanations: Sequence[UtteranceExplanation]) -> None:
    width = 0.8 / len(ABSENT)
    for row, m in enumerate(ABSENT):
        having = [i for i, e in enumerate(explanations) if m in e.leave_one_out]
        effects = [explanations[i].leave_one_out[m] for i in having]
        places = np.array(having) + (row - (len(ABSENT) - 1) / 2) * width
        panel.bar(places, effects, width, color=MODALITY_COLOURS[m], hatch=HATCHES[m])
    panel.axhline(0, color="black", linewidth=0.6)
    panel.set_ylabel("logit")
    panel.set_title(f"{MEASURES[2]} (below 0: it speaks against the class)")


def _name_utterances(panel: Axes, explanations: Sequence[UtteranceExplanation]) -> None:
    step = -(-len(explanations) // _MOST_NAMES)
    places = range(0, len(explanations), step)
    names = [f"{explanations[i].index + 1}\n{explanations[i].emotion}" for i in places]
    panel.set_xticks(places, names)
    panel.tick_params(axis="x", labelbottom=True)
    panel.set_xlim(-0.5, len(explanations) - 0.5)
    for i, explanation in enumerate(explanations):
        colour = COLOURS[explanation.emotion]
        panel.axvspan(i - 0.4, i + 0.4, 0, -0.03, color=colour, clip_on=False)
