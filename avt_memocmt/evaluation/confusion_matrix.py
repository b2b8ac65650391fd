"""The confusion matrix as a picture: counts, and the share of each true class."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.files import write_atomically
from avt_memocmt.metrics.scores import scores_of_counts

CONFUSION_FILE = "confusion_matrix.png"


def draw_confusion(
    counts: ArrayLike, path: Path, title: str, labels: Sequence[str] = EMOTIONS
) -> None:
    """Draw counts and row-normalised shares side by side, as a PNG.

    Args:
        counts: [classes, classes], or one column wider as of `metrics.outcome_counts`, whose column
            of failed rows is drawn if there are any.
        path: of the picture.
        title: what was measured; UAR and weighted F1 are added.
        labels: names of the classes.

    Raises:
        AvtError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    table = np.asarray(counts)
    found = scores_of_counts(table)
    shown = table if table[:, len(labels) :].any() else table[:, : len(labels)]
    support = shown.sum(axis=1, keepdims=True)
    shares = shown / np.maximum(support, 1)
    figure = Figure(figsize=(12.5, 5.6), layout="constrained")
    figure.suptitle(f"{title}\nUAR {found['uar']:.3f}, weighted F1 {found['weighted_f1']:.3f}")
    left, right = figure.subplots(1, 2)
    numbers = [[str(n) for n in row] for row in shown.tolist()]
    _draw(left, labels, shares, numbers, "number of utterances")
    percent = [[f"{100 * share:.0f}" for share in row] for row in shares.tolist()]
    for row in np.flatnonzero(support[:, 0] == 0):
        percent[row] = ["–"] * shown.shape[1]
    _draw(right, labels, shares, percent, "% of the true class")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    write_atomically(path, buffer.getvalue())


def _draw(
    axes: Any,
    labels: Sequence[str],
    shares: NDArray[np.float64],
    texts: list[list[str]],
    title: str,
) -> None:
    """One matrix; both are coloured by the share of the row, so that rare classes can be read."""
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    columns = [*labels, "failed"][: shares.shape[1]]
    axes.set_xticks(range(len(columns)), columns, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(labels)), labels)
    axes.set(title=title, xlabel="predicted", ylabel="true")
    for row, column in np.ndindex(shares.shape):
        dark = shares[row, column] > 0.55
        colour = "white" if dark else "black"
        axes.text(column, row, texts[row][column], ha="center", va="center", color=colour)
