"""The page of `explain`: why each explained utterance was judged as it was, readable offline."""

from __future__ import annotations

import io
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.explainability.explanation import MediaExplanation, UtteranceExplanation
from avt_memocmt.explainability.faithfulness import Curves
from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.report.explanation_sentences import absent, summary
from avt_memocmt.report.figures.time_panels import word_colours
from avt_memocmt.report.page import write_page
from avt_memocmt.report.prediction_page import FUNCTIONS

MOST_FRAMES = 12
"""Pictures shown of one utterance."""


@dataclass(frozen=True)
class UtterancePictures:
    """What is shown of one utterance.

    Attributes:
        composite: PNG of the figure with one time axis.
        attention: PNG of the attention maps.
        frames: JPEG of each face that was read, in its picture, in order of time.
    """

    composite: bytes
    attention: bytes
    frames: tuple[bytes, ...]


def write_explanation_report(
    explanation: MediaExplanation,
    pictures: Sequence[UtterancePictures],
    strip: bytes | None,
    path: Path,
) -> None:
    """Write one self-contained HTML page: no scripts, no network.

    Args:
        explanation: of one input.
        pictures: of each explained utterance.
        strip: PNG of the contributions over the dialogue; None where one utterance is explained.
        path: of the page; appears whole or not at all.

    Raises:
        AvtError: the folder is missing or cannot be written.
    """
    shown = zip(explanation.utterances, pictures, strict=True)
    content = {
        "predictions": [explanation.prediction],
        "sections": [_section(found, drawn) for found, drawn in shown],
        "strip": strip,
        "verdict": verdict,
        **FUNCTIONS,
    }
    write_page(path, "explanation.html.j2", content)


def _section(found: UtteranceExplanation, pictures: UtterancePictures) -> dict[str, Any]:
    """What the section of one utterance shows."""
    samples, turns = found.turn.utterance.samples, found.attention.turns
    return {
        "found": found,
        "sentences": summary(found),
        "absent": absent(found),
        "sound": None if samples is None else _wav(samples),
        "words": _words(found),
        "faces": len(pictures.frames),
        "frames": _strongest_frames(found, pictures.frames),
        "composite": pictures.composite,
        "attention": pictures.attention,
        "past": turns.mean(axis=(0, 1)) if turns.size else (),
    }


def _wav(samples: NDArray[np.float32]) -> bytes:
    """16-bit WAV of float32 [n] in [-1, 1]."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def _words(found: UtteranceExplanation) -> list[tuple[str, float, str, str]]:
    """Each word with its score, its background and its ink."""
    if "text" not in found.attributions:
        return []
    scores = found.attributions["text"].scores
    marks = zip(found.words, scores.tolist(), word_colours(scores), strict=True)
    return [(word, score, *colours) for word, score, colours in marks]


def _strongest_frames(found: UtteranceExplanation, frames: Sequence[bytes]) -> list[dict[str, Any]]:
    """The frames with the largest shares of what speaks for the emotion, in order of time."""
    if not frames:
        return []
    heat = found.attributions["visual"].scores.sum(axis=(1, 2))
    shares = heat / (heat.sum() or 1.0)
    strongest = np.sort(np.argsort(-shares, kind="stable")[:MOST_FRAMES])
    times = [face.time for face in found.turn.utterance.faces]
    return [{"time": times[i], "share": shares[i], "jpeg": frames[i]} for i in strongest]


def verdict(curves: Curves) -> str:
    """Whether an explanation beats chance, by which of the two curves."""
    gains = {"deletion": curves.deletion_gain, "insertion": curves.insertion_gain}
    beaten = [name for name, gain in gains.items() if gain > 0]
    if not beaten:
        return "no better than chance"
    return f"better than chance by {beaten[0]} alone" if len(beaten) == 1 else "better than chance"
