"""The report of `predict`: one HTML page that shows every prediction, readable offline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from avt_memocmt.emotions import EMOTIONS, UNCERTAIN
from avt_memocmt.inference.results import MediaPrediction, UtterancePrediction
from avt_memocmt.report.page import write_page
from avt_memocmt.report.timeline import timeline_svg


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


def time_shares(utterances: Sequence[UtterancePrediction]) -> list[tuple[str, float]]:
    """Each emotion's share of the time (of the utterances where all are moments), largest first."""
    lengths = [utterance.end - utterance.start for utterance in utterances]
    if sum(lengths) <= 0:
        lengths = [1.0] * len(utterances)
    shares = dict.fromkeys((*EMOTIONS, UNCERTAIN), 0.0)
    for utterance, length in zip(utterances, lengths, strict=True):
        shares[utterance.emotion] += length / sum(lengths)
    ranked = sorted(shares.items(), key=lambda item: item[1], reverse=True)
    return [(name, share) for name, share in ranked if share > 0]


def warning_names(predictions: Sequence[MediaPrediction]) -> list[str]:
    """The warnings of all utterances, each once, in order of the alphabet."""
    return sorted({name for item in predictions for u in item.utterances for name in u.warnings})


def count_disagreements(utterances: Sequence[UtterancePrediction]) -> int:
    """How many utterances have a face and words that name different emotions."""
    return sum(1 for utterance in utterances if disagreement(utterance))


def disagreement(utterance: UtterancePrediction) -> str | None:
    """One sentence where face and words name different emotions, else None."""
    face, words = utterance.modalities.get("visual"), utterance.modalities.get("text")
    if not face or not words or face.probabilities is None or words.probabilities is None:
        return None
    seen, said = alone(face.probabilities), alone(words.probabilities)
    return None if seen[0] == said[0] else f"Face ({seen[0]}) and words ({said[0]}) disagree."


def alone(probabilities: tuple[float, ...]) -> tuple[str, float]:
    """The likeliest emotion of one modality on its own, and its probability."""
    best = max(probabilities)
    return EMOTIONS[probabilities.index(best)], best


FUNCTIONS: dict[str, Any] = {
    "alone": alone,
    "count_disagreements": count_disagreements,
    "disagreement": disagreement,
    "time_shares": time_shares,
    "timeline_svg": timeline_svg,
    "warning_names": warning_names,
}
"""What the templates of every page call."""
