"""Writes the explanation of one utterance as the page shows it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from avt_memocmt.errors import AvtError
from avt_memocmt.explainability.explanation import MediaExplanation, UtteranceExplanation
from avt_memocmt.files import write_atomically
from avt_memocmt.report.explanation_json import explanation_json
from avt_memocmt.report.explanation_sentences import summary
from avt_memocmt.report.figures.attention import attention_figure
from avt_memocmt.report.figures.common import figure_bytes
from avt_memocmt.report.figures.composite import composite_figure
from avt_memocmt.report.figures.faces import frames_at, overlay
from avt_memocmt.report.thumbnails import jpeg
from avt_memocmt.service.job_files import EXPLANATION

SAME = 0.01
"""Difference of a probability below which two decisions are the same one."""


def write_explanation(
    explanation: MediaExplanation, media: Path, name: str, shown: dict[str, Any], folder: Path
) -> None:
    """Write `explanation.json`, with sentences and the names of figures, and the figures.

    Args:
        explanation: of one utterance.
        media: that was explained, which is decoded again for its pictures.
        name: that its user knows it by.
        shown: the utterance as the page shows it.
        folder: for the files.

    Raises:
        AvtError: what is explained is not the decision that is shown.
    """
    if len(explanation.utterances) != 1 or not _is_same(explanation.utterances[0], shown):
        raise AvtError(
            "the file is decided otherwise now than when its result was written, so that the "
            "result cannot be explained; put the file in again."
        )
    found = explanation.utterances[0]
    figures = {
        "composite.png": figure_bytes(composite_figure(found), "png"),
        "attention.png": figure_bytes(attention_figure(found), "png"),
        **dict(_faces(found, media)),
    }
    for figure, data in figures.items():
        write_atomically(folder / figure, data)
    content = explanation_json(explanation) | {
        "media": name,
        "sentences": summary(found),
        "figures": list(figures),
    }
    text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    write_atomically(folder / EXPLANATION, text.encode())


def _is_same(found: UtteranceExplanation, shown: dict[str, Any]) -> bool:
    prediction = found.prediction
    difference = np.subtract(prediction.probabilities, list(shown["probabilities"].values()))
    return abs(prediction.start - shown["start"]) < SAME and bool(np.abs(difference).max() < SAME)


def _faces(found: UtteranceExplanation, media: Path) -> Iterator[tuple[str, bytes]]:
    """Name and JPEG of each face that was read, in its picture with heat on it."""
    if "visual" not in found.attributions:
        return
    scores = found.attributions["visual"].scores
    faces = found.turn.utterance.faces
    frames = frames_at(media, [face.time for face in faces])
    for number, (face, heat, frame) in enumerate(zip(faces, scores, frames, strict=True), 1):
        yield f"face_{number}.jpg", jpeg(overlay(frame.image, face, heat, float(scores.max())))
