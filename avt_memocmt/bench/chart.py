"""Draw where the time of each case goes: a stacked bar of its stages."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np

from avt_memocmt.bench.stages import STAGES, Timing

# Tol's "muted" and "light" schemes (Tol 2021), safe for the colour-blind; grey is the rest.
_COLOURS = (
    *("#332288", "#88CCEE", "#44AA99", "#117733", "#999933", "#DDCC77", "#CC6677"),
    *("#882255", "#AA4499", "#EE8866", "#77AADD", "#661100", "#BBBBBB"),
)
_DARK = {"#332288", "#117733", "#882255", "#AA4499"}
_LEAST_LABELLED = 0.04
"""Share of a bar from which the time of a stage is written into it."""


def draw_stages(timings: Mapping[str, Timing]) -> bytes:
    """Return an SVG with a bar for each case; as their times differ much, all are equally wide.

    Args:
        timings: by the name of the case, in the order of the bars.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 1.4 + 0.6 * len(timings)), layout="constrained")
    axes = figure.subplots()
    seconds = np.array([[t.stages.get(stage, 0.0) for stage in STAGES] for t in timings.values()])
    shares = seconds / seconds.sum(axis=1, keepdims=True)
    lefts = shares.cumsum(axis=1) - shares
    for stage, colour, spent, share, left in zip(
        STAGES, _COLOURS, seconds.T, shares.T, lefts.T, strict=True
    ):
        bars = axes.barh(
            range(len(timings)),
            share,
            left=left,
            color=colour,
            edgecolor="white",
            linewidth=0.6,
            label=stage,
        )
        texts = np.where(share >= _LEAST_LABELLED, [f"{1000 * value:.0f}" for value in spent], "")
        ink = "white" if colour in _DARK else "black"
        axes.bar_label(bars, texts.tolist(), label_type="center", color=ink, size=8)
    names = [f"{name}\n{1000 * t.percentile(50):.0f} ms" for name, t in timings.items()]
    axes.set_yticks(range(len(timings)), names)
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xticks=[])
    axes.set_title(
        "Where the time goes: mean ms of each stage; beside the case its median", size=10
    )
    axes.spines[:].set_visible(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0), ncols=6, frameon=False, fontsize=8)
    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": "avt-memocmt"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
