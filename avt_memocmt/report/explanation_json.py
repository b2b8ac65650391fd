"""The JSON form of explanations (`explanation.json`): every number behind the figures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.explainability.attention_visualization import DecisionAttention
from avt_memocmt.explainability.evidence import SOUND_STEP
from avt_memocmt.explainability.explanation import (
    Checks,
    MediaExplanation,
    UtteranceExplanation,
)
from avt_memocmt.explainability.faithfulness import SHARES
from avt_memocmt.explainability.integrated_gradients import Attribution

DIGITS = 6
"""Significant digits of the numbers; single precision holds no more."""


def explanation_json(explanation: MediaExplanation) -> dict[str, Any]:
    """The JSON object of one input.

    Times are seconds; spans and the steps of the sound count from the start of the utterance, all
    else from the start of the media. Logits are those before temperature scaling. What is absent
    has no entry.
    """
    prediction = explanation.prediction
    return {
        "media": prediction.media,
        "model": {"preset": prediction.preset, "version": prediction.version},
        "sound_step": SOUND_STEP,
        "check_shares": _numbers(SHARES),
        "utterances": [_utterance_json(found) for found in explanation.utterances],
    }


def _utterance_json(found: UtteranceExplanation) -> dict[str, Any]:
    prediction = found.prediction
    return {
        "number": found.index + 1,
        "start": round(prediction.start, 3),
        "end": round(prediction.end, 3),
        "likeliest": prediction.likeliest,
        "explained": found.emotion,
        "probability": _number(prediction.probabilities[EMOTIONS.index(found.emotion)]),
        "words": list(found.words),
        "word_spans": None if found.aligned is None else _numbers(found.aligned),
        "faces": [
            {
                "time": round(seen.time, 4),
                "box": None if seen.face is None else _numbers(seen.face.box),
            }
            for seen in found.turn.utterance.faces
        ],
        "modalities": {
            m: {
                "rollout": _number(share),
                "gate": _number(found.attention.gate[m]),
                "leave_one_out": _number(found.leave_one_out[m]),
            }
            for m, share in found.attention.contributions.items()
        },
        "attributions": {m: _attribution_json(a) for m, a in found.attributions.items()},
        "attention": _attention_json(found.attention),
        "checks": {m: _checks_json(checks) for m, checks in found.checks.items()},
    }


def _attribution_json(attribution: Attribution) -> dict[str, Any]:
    """Scores are [words], [bands, steps] of sound from low to high, or [faces, rows, columns]."""
    return {
        "method": attribution.method,
        "baseline": attribution.baseline,
        "scores": _numbers(attribution.scores),
        "change": _number(attribution.change),
        "completeness_error": _number(attribution.completeness),
    }


def _attention_json(attention: DecisionAttention) -> dict[str, Any]:
    """Weights are [layers, heads, targets, sources]; rolled out they are [targets, sources]."""
    return {
        "axes": {
            m: {"labels": list(axis.labels), "spans": _numbers(axis.spans)}
            for m, axis in attention.axes.items()
        },
        "maps": [
            {"target": target, "source": source, "weights": _numbers(weights)}
            for (target, source), weights in attention.maps.items()
        ],
        "rollout": [
            {"target": target, "source": source, "weights": _numbers(weights)}
            for (target, source), weights in attention.rollout.items()
        ],
        "turns": _numbers(attention.turns),
    }


def _checks_json(checks: Checks) -> dict[str, Any]:
    curves = checks.curves
    return {
        "deletion": _numbers(curves.deletion),
        "insertion": _numbers(curves.insertion),
        "random_deletion": _numbers(curves.random_deletion),
        "random_insertion": _numbers(curves.random_insertion),
        "deletion_gain": _number(curves.deletion_gain),
        "insertion_gain": _number(curves.insertion_gain),
        "randomised": {stage: _number(value) for stage, value in checks.randomised.items()},
        "stability": _number(checks.stability),
    }


def _numbers(values: ArrayLike) -> list[Any]:
    """Nested lists of numbers."""
    array = np.asarray(values, dtype=np.float64)
    return [_number(float(item)) if array.ndim == 1 else _numbers(item) for item in array]


def _number(value: float | None) -> float | None:
    """A number that JSON can hold: of `DIGITS`, and null where there is none."""
    if value is None or not np.isfinite(value):
        return None
    return float(f"{value:.{DIGITS}g}")
