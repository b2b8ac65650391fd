"""What the figures of explanations share: colours, headline, small pictures, and their files."""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from numpy.typing import NDArray

from avt_memocmt.explainability.explanation import UtteranceExplanation
from avt_memocmt.wording import WARNINGS, clock, percent

DOTS_PER_INCH = 120
POINTS_PER_INCH = 72
SMALL, NORMAL = 8.0, 9.5
"""Font sizes, points."""
styled = rc_context(
    {
        "font.size": SMALL,
        "axes.labelsize": SMALL,
        "axes.titlelocation": "left",
        "axes.titlesize": NORMAL,
        "figure.titlesize": NORMAL + 1,
        "legend.fontsize": SMALL,
        "text.parse_math": False,
        "xtick.labelsize": SMALL,
        "ytick.labelsize": SMALL,
    }
)
"""Decorates functions that draw: Matplotlib settings that all of their text shares."""

SIGNED = "PuOr_r"
"""Colour map of scores around 0: purple against the class, orange for it; colour-blind-safe."""

# Three of Tol's "muted" colours (Tol 2021, colour schemes), none of which is an emotion's.
MODALITY_COLOURS = {"audio": "#332288", "visual": "#DDCC77", "text": "#44AA99"}
HATCHES = {"audio": "", "visual": "///", "text": "..."}
"""Marks of the modalities besides their colours."""
ABSENT = {"audio": "no sound", "visual": "no face", "text": "no text"}
"""What stands in place of a modality that an utterance lacks."""

_METADATA: dict[str, dict[str, Any]] = {"png": {"Software": None}, "svg": {"Date": None}}


@styled  # Matplotlib makes some tick labels only when it writes
def figure_bytes(figure: Figure, format: Literal["png", "svg"]) -> bytes:
    """The figure as a file; the same figure gives the same bytes, whenever it is written."""
    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": "avt-memocmt"}), warnings.catch_warnings():
        # Words may be of any language; a letter that the font lacks shows as a box.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format=format, dpi=DOTS_PER_INCH, metadata=_METADATA[format])
    return buffer.getvalue()


def headline(explanation: UtteranceExplanation) -> str:
    """What is explained, and what was decided: "utterance 2 (1.4 to 3.0 s): why joy, 71%"."""
    prediction, explained = explanation.prediction, explanation.emotion
    named = f"utterance {explanation.index + 1}"
    if prediction.end > prediction.start:
        named += f" ({clock(prediction.start)} to {clock(prediction.end)} s)"
    asked = f"{named}: why {explained}, {percent(explanation.probability)}"
    if explained == prediction.likeliest:
        return asked
    return f"{asked} (decided: {prediction.likeliest}, {percent(prediction.confidence)})"


def warning_lines(explanation: UtteranceExplanation, width: int) -> list[str]:
    """The meaning of each warning of the utterance, in lines of at most `width` characters."""
    sentences = [WARNINGS.get(name, name) for name in explanation.prediction.warnings]
    return [line for said in sentences for line in textwrap.wrap(f"Warning: {said}", width)]


def add_picture(axes: Axes, picture: NDArray[np.uint8], inches: float, **placement: Any) -> None:
    """Put a small picture beside the data of a panel.

    Args:
        axes: of the panel.
        picture: RGB [height, width, 3].
        inches: its height.
        placement: of Matplotlib's `AnnotationBbox`: `xy` and what else it needs.
    """
    image = OffsetImage(picture, zoom=inches * POINTS_PER_INCH / len(picture))
    box = AnnotationBbox(image, pad=0.0, annotation_clip=False, frameon=False, **placement)
    axes.add_artist(box)


def say_absent(axes: Axes, modalities: Sequence[str]) -> None:
    """Say in an empty panel which modalities are not there."""
    axes.set_yticks([])
    axes.set_facecolor("#F2F2F2")
    said = " and ".join(ABSENT[m] for m in modalities)
    axes.text(0.5, 0.5, said, fontsize=10, transform=axes.transAxes, ha="center", va="center")
