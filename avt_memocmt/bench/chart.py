"""A stacked bar of stages for each case."""

from __future__ import annotations

import io
from collections.abc import Mapping

from avt_memocmt.bench.stages import STAGES, Timing

# From Tol's "muted" and "light" schemes (Tol 2021), safe for the colour-blind; grey is the rest.
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
    "#661100",
    "#BBBBBB",
)
_DARK = {"#332288", "#117733", "#882255", "#AA4499"}
_LEAST_LABELLED = 0.04
"""Share of a bar from which a stage's time is written into it."""


def draw_stages(timings: Mapping[str, Timing]) -> bytes:
    """An SVG with a bar for each case; as their times differ much, every bar fills the width.

    Args:
        timings: by the name of the case, in the order of the bars.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    figure = Figure(figsize=(10, 1.4 + 0.6 * len(timings)), layout="constrained")
    axes = figure.subplots()
    colours = dict(zip(STAGES, _COLOURS, strict=True))
    for row, timing in enumerate(timings.values()):
        total, left = sum(timing.stages.values()), 0.0
        for stage, seconds in timing.stages.items():
            share, colour = seconds / total, colours[stage]
            axes.barh(row, share, left=left, color=colour, edgecolor="white", linewidth=0.6)
            if share >= _LEAST_LABELLED:
                ink = "white" if colour in _DARK else "black"
                text = f"{1000 * seconds:.0f}"
                axes.text(left + share / 2, row, text, ha="center", va="center", color=ink, size=8)
            left += share
    names = [f"{name}\n{1000 * t.percentile(50):.0f} ms" for name, t in timings.items()]
    axes.set_yticks(range(len(timings)), names)
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xticks=[])
    axes.set_title(
        "Where the time goes: mean ms of each stage; beside the case its median", size=10
    )
    axes.spines[:].set_visible(False)
    handles = [Patch(color=colour, label=stage) for stage, colour in colours.items()]
    axes.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        ncols=6,
        frameon=False,
        fontsize=8,
    )
    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": "avt-memocmt"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
