"""The report of `predict`: one HTML page that shows every prediction, readable offline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from avt_memocmt.inference.results import MediaPrediction, speaker_names
from avt_memocmt.report.judgements import alone, count_disagreements, disagreement, time_shares
from avt_memocmt.report.page import write_page
from avt_memocmt.report.people import (
    MOST_LISTENERS,
    NAMED,
    are_crowded,
    face_names,
    listeners,
    people,
)
from avt_memocmt.report.replies import replies
from avt_memocmt.report.thumbnails import thumbnails
from avt_memocmt.report.timeline import lane_axis, timeline_svg


def write_report(
    predictions: Sequence[MediaPrediction], failures: Sequence[tuple[str, str]], path: Path
) -> None:
    """Write one self-contained HTML page: no scripts, no network.

    Args:
        predictions: one section each, in this order.
        failures: (input, reason) of inputs that could not be predicted.
        path: of the page; appears whole or not at all.

    Raises:
        AvtError: the folder is missing or cannot be written.
    """
    content = {"predictions": predictions, "failures": failures, **FUNCTIONS}
    write_page(path, "prediction.html.j2", content)


def warning_names(predictions: Sequence[MediaPrediction]) -> list[str]:
    """The warnings of all utterances, each once, in order of the alphabet."""
    return sorted({name for item in predictions for u in item.utterances for name in u.warnings})


FUNCTIONS: dict[str, Any] = {
    "MOST_LISTENERS": MOST_LISTENERS,
    "NAMED": NAMED,
    "alone": alone,
    "are_crowded": are_crowded,
    "count_disagreements": count_disagreements,
    "disagreement": disagreement,
    "face_names": face_names,
    "lane_axis": lane_axis,
    "listeners": listeners,
    "people": people,
    "replies": replies,
    "speaker_names": speaker_names,
    "thumbnails": thumbnails,
    "time_shares": time_shares,
    "timeline_svg": timeline_svg,
    "warning_names": warning_names,
}
"""What the templates of every page call."""
