"""A stacked bar of stages for each case."""

from __future__ import annotations

import io
from collections.abc import Mapping

from avt_memocmt.bench.stages import STAGES, Timing

# Tol's "muted" and "light" schemes (Tol 2021), safe for the colour-blind; grey is the remainder.
_COLOURS = (
    "#332288",
    "#88CCEE",
    "#44AA99",
    "#117733",
    "#999933",
    "#DDCC77",
    "#CC6677",
    "#882255",
    "#AA4499",
    "#EE8866",
    "#77AADD",
    "#BBBBBB",
)
_LEAST_LABELLED = 0.05
"""Share of a bar from which a stage is named in it."""


def draw_stages(timings: Mapping[str, Timing]) -> bytes:
    """An SVG with a bar for each case; as their times differ much, every bar fills the width.

    Args:
        timings: by the name of the case, in the order of the bars.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 0.9 + 0.75 * len(timings)), layout="constrained")
    axes = figure.subplots()
    for row, timing in enumerate(timings.values()):
        total = sum(timing.stages.values())
        left = 0.0
        for stage, colour in zip(STAGES, _COLOURS, strict=True):
            share = timing.stages.get(stage, 0.0) / total
            axes.barh(row, share, left=left, color=colour, edgecolor="white", linewidth=0.6)
            if share >= _LEAST_LABELLED:
                milliseconds = 1000 * timing.stages[stage]
                label = f"{stage.replace(' ', chr(10))}\n{milliseconds:.0f}"
                axes.text(left + share / 2, row, label, ha="center", va="center", fontsize=7)
            left += share
    names = [f"{name}\n{1000 * t.percentile(50):.0f} ms" for name, t in timings.items()]
    axes.set_yticks(range(len(timings)), names)
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xticks=[])
    axes.set_title(
        "Where the time goes: mean milliseconds by stage; at the left the median", size=10
    )
    axes.spines[:].set_visible(False)
    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": "avt-memocmt"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
