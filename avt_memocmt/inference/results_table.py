"""Predictions as a tidy table: one row for each utterance, one column for each fact."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from avt_memocmt.config import MODALITIES
from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.extras import require_extra
from avt_memocmt.inference.results import (
    MediaPrediction,
    ModalityUse,
    UtterancePrediction,
    speaker_names,
)

if TYPE_CHECKING:
    import pandas as pd

PROBABILITIES = tuple(f"p_{name}" for name in EMOTIONS)
"""Columns of the seven probabilities, in the order of `EMOTIONS`."""

COLUMNS = (
    "media",
    "utterance",
    "start",
    "end",
    "speaker",
    "name",
    "text",
    "text_source",
    "emotion",
    "confidence",
    *PROBABILITIES,
    *(f"{modality}_{fact}" for modality in MODALITIES for fact in ("weight", "emotion")),
    "face",
    "warnings",
)
"""Times are seconds; `utterance` counts from 0; `speaker` and `face` are ids, `name` is what the
speaker is called; warnings are separated by blanks."""


def table_rows(prediction: MediaPrediction) -> Iterator[dict[str, Any]]:
    """One row for each utterance, by the names in `COLUMNS`; None where there is no value."""
    names = speaker_names(prediction)
    for number, spoken in enumerate(prediction.utterances):
        yield {
            "media": prediction.media,
            "utterance": number,
            "start": round(spoken.start, 3),
            "end": round(spoken.end, 3),
            "speaker": spoken.speaker,
            "name": None if spoken.speaker is None else names.get(spoken.speaker, spoken.speaker),
            "text": spoken.text,
            "text_source": spoken.text_source,
            "emotion": spoken.emotion,
            "confidence": round(spoken.confidence, 4),
            **probability_cells(spoken.probabilities),
            **_modalities(spoken),
            "face": spoken.face,
            "warnings": " ".join(spoken.warnings),
        }


def probability_cells(probabilities: tuple[float, ...] | None) -> dict[str, float | None]:
    """The seven probabilities by their columns; None where they are not known."""
    if probabilities is None:
        return dict.fromkeys(PROBABILITIES)
    return {
        name: round(chance, 4) for name, chance in zip(PROBABILITIES, probabilities, strict=True)
    }


def to_frame(prediction: MediaPrediction) -> pd.DataFrame:
    """See `MediaPrediction.to_frame`."""
    require_extra("tables", ("pandas",), "a data frame needs")
    import pandas as pd

    return pd.DataFrame(list(table_rows(prediction)), columns=list(COLUMNS))


def _modalities(spoken: UtterancePrediction) -> dict[str, Any]:
    cells: dict[str, Any] = {}
    for modality in MODALITIES:
        use = spoken.modalities.get(modality, ModalityUse(False, 0.0))
        cells[f"{modality}_weight"] = round(use.weight, 4)
        cells[f"{modality}_emotion"] = use.emotion
    return cells
