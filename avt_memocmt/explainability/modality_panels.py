"""How much each modality counted: bars with numbers, each measure under its own name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from avt_memocmt.explainability.explanation import UtteranceExplanation
from avt_memocmt.explainability.figure_parts import (
    ABSENT,
    HATCHES,
    MODALITY_COLOURS,
    NORMAL,
    SMALL,
    signed,
)
from avt_memocmt.explainability.timeline import MODALITY_NAMES, percent

MEASURES = (
    "contribution by attention rollout",
    "share in the gate",
    "effect of leaving it out, on the logit",
)
"""Names of the three measures, in the order of `draw_modalities`."""

_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
_ROOM = 0.28  # of a bar's length, for its number


def draw_modalities(panels: Sequence[Axes], explanation: UtteranceExplanation) -> None:
    """Draw attention rollout, gate and leave-one-out effect of each modality, a panel each.

    Args:
        panels: three.
        explanation: of one utterance.
    """
    attention = explanation.attention
    shares = (attention.contributions, attention.gate)
    for panel, title, values in zip(panels, MEASURES, shares, strict=False):
        _bars(panel, title, values, {m: percent(value) for m, value in values.items()})
        panel.set_xlim(0, 1 + _ROOM)
        panel.set_xticks(_SHARES, [percent(share) for share in _SHARES])
    effects = explanation.leave_one_out
    last = panels[len(shares)]
    _bars(last, MEASURES[-1], effects, {m: signed(value) for m, value in effects.items()})
    reach = max((abs(value) for value in effects.values()), default=0.0) or 1.0
    last.set_xlim(-reach * (1 + 2 * _ROOM), reach * (1 + 2 * _ROOM))
    last.axvline(0, color="black", linewidth=0.6)
    last.set_xlabel("below 0: it speaks against the class", fontsize=SMALL)


def _bars(panel: Axes, title: str, values: Mapping[str, float], numbers: Mapping[str, str]) -> None:
    for row, (modality, name) in enumerate(ABSENT.items()):
        if modality not in values:
            panel.text(0, row, f" {name}", va="center", fontsize=SMALL, style="italic")
            continue
        value = values[modality]
        panel.barh(
            row, value, 0.7, color=MODALITY_COLOURS[modality], hatch=HATCHES[modality], alpha=0.85
        )
        side = "left" if value >= 0 else "right"
        padded = f" {numbers[modality]} "
        panel.text(value, row, padded, va="center", ha=side, fontsize=SMALL)
    panel.set_yticks(range(len(ABSENT)), [MODALITY_NAMES[m] for m in ABSENT], fontsize=SMALL)
    panel.set_ylim(len(ABSENT) - 0.5, -0.5)
    panel.tick_params(axis="x", labelsize=SMALL)
    panel.set_title(title, fontsize=NORMAL, loc="left")
