"""How much each modality counts, by emotion, in right and in wrong decisions: bars with numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.evaluation.contributions import OUTCOMES, Group
from avt_memocmt.report.figures.common import ABSENT, HATCHES, MODALITY_COLOURS, styled
from avt_memocmt.wording import MODALITY_NAMES

_SIZE = (12.0, 6.4)  # inches
_TITLES = {
    "weights": "share in the gate, mean",
    "changes": "probability that the decided emotion loses without it, mean",
}


@styled
def contributions_figure(groups: Sequence[Group]) -> Figure:
    """The gate's shares beside what leaving a modality out changes; right above wrong decisions.

    Emotions stand below the bars, with the number of their utterances. A modality that no utterance
    of a group has, has no bar.

    Args:
        groups: of `Contributions.groups`, at least one.
    """
    measures = [name for name in _TITLES if any(getattr(group, name) for group in groups)]
    figure = Figure(figsize=_SIZE, layout="constrained")
    shown = [m for m in ABSENT if any(m in group.changes for group in groups)]
    panels = figure.subplots(len(OUTCOMES), len(measures), squeeze=False, sharey="col")
    for row, outcome in zip(panels, OUTCOMES, strict=True):
        own = {group.emotion: group for group in groups if group.outcome == outcome}
        for panel, measure in zip(row, measures, strict=True):
            panel.set_title(f"{outcome} decisions: {_TITLES[measure]}")
            _draw(panel, own, measure, shown)
    marks = [
        Patch(facecolor=MODALITY_COLOURS[m], hatch=HATCHES[m], label=MODALITY_NAMES[m])
        for m in shown
    ]
    figure.legend(handles=marks, loc="outside lower center", ncols=max(1, len(marks)))
    return figure


def _draw(
    panel: Axes, groups: Mapping[str, Group], measure: str, modalities: Sequence[str]
) -> None:
    width = 0.8 / len(ABSENT)
    for order, modality in enumerate(modalities):
        shift = (order - (len(modalities) - 1) / 2) * width
        for place, emotion in enumerate(EMOTIONS):
            values = getattr(groups[emotion], measure) if emotion in groups else {}
            if modality not in values:
                continue
            value = values[modality]
            colour, hatch = MODALITY_COLOURS[modality], HATCHES[modality]
            panel.bar(place + shift, value, width, color=colour, hatch=hatch)
            side = "bottom" if value >= 0 else "top"
            number = f"{round(value, 2) + 0.0:.2f}".replace("-", "−")  # never −0.00
            panel.text(place + shift, value, number, ha="center", va=side, fontsize=6)
    names = [f"{e}\nn = {groups[e].n if e in groups else 0}" for e in EMOTIONS]
    panel.set_xticks(range(len(EMOTIONS)), names)
    panel.axhline(0, color="black", linewidth=0.6)
    panel.set_xlim(-0.5, len(EMOTIONS) - 0.5)
    panel.margins(y=0.12)
