"""The JSON form of explanations (`explanation.json`): every number behind the figures."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from avt_memocmt.explainability.attention_visualization import DecisionAttention
from avt_memocmt.explainability.evidence import SOUND_STEP
from avt_memocmt.explainability.explanation import Checks, MediaExplanation, UtteranceExplanation
from avt_memocmt.explainability.faithfulness import SHARES
from avt_memocmt.explainability.integrated_gradients import Attribution

DIGITS = 6
"""Significant digits of the numbers; about what single precision holds."""


def explanation_json(explanation: MediaExplanation) -> dict[str, Any]:
    """The JSON object of one input.

    Times are seconds: spans and the steps of the sound from the start of the utterance, all others
    from the start of the media. Logits are those before temperature scaling. A modality that is
    absent has no entry.
    """
    prediction = explanation.prediction
    return {
        "media": prediction.media,
        "model": {"preset": prediction.preset, "version": prediction.version},
        "sound_step": SOUND_STEP,
        "check_shares": _rounded(SHARES),
        "utterances": [_utterance_json(found) for found in explanation.utterances],
    }


def attributions_json(
    explanation: MediaExplanation, modalities: Collection[str]
) -> list[dict[str, Any]]:
    """The part of `explanation_json` that attributes each decision to some of the modalities."""
    kept = ("number", "start", "end", "explained", "probability", "words", "attributions")
    utterances = []
    for found in explanation.utterances:
        whole = _utterance_json(found)
        own = {m: a for m, a in whole["attributions"].items() if m in modalities}
        utterances.append({name: whole[name] for name in kept} | {"attributions": own})
    return utterances


def _utterance_json(found: UtteranceExplanation) -> dict[str, Any]:
    prediction = found.prediction
    return {
        "number": found.index + 1,
        "start": round(prediction.start, 3),
        "end": round(prediction.end, 3),
        "likeliest": prediction.likeliest,
        "explained": found.emotion,
        "probability": _rounded(found.probability),
        "words": list(found.words),
        "word_spans": _rounded(found.aligned),
        "faces": [
            {
                "time": round(seen.time, 4),
                "box": None if seen.face is None else _rounded(seen.face.box),
            }
            for seen in found.turn.utterance.faces
        ],
        "modalities": {
            m: {
                "rollout": _rounded(share),
                "gate": _rounded(found.attention.gate[m]),
                "leave_one_out": _rounded(found.leave_one_out[m]),
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
        "scores": _rounded(attribution.scores),
        "change": _rounded(attribution.change),
        "completeness_error": _rounded(attribution.completeness),
    }


def _attention_json(attention: DecisionAttention) -> dict[str, Any]:
    """Weights are [layers, heads, targets, sources]; rolled out they are [targets, sources]."""
    maps, rollout = (
        [
            {"target": target, "source": source, "weights": _rounded(weights)}
            for (target, source), weights in by_pair.items()
        ]
        for by_pair in (attention.maps, attention.rollout)
    )
    axes = {
        m: {"labels": list(axis.labels), "spans": _rounded(axis.spans)}
        for m, axis in attention.axes.items()
    }
    return {"axes": axes, "maps": maps, "rollout": rollout, "turns": _rounded(attention.turns)}


def _checks_json(checks: Checks) -> dict[str, Any]:
    curves = checks.curves
    return {
        **{name: _rounded(curve) for name, curve in asdict(curves).items()},
        "deletion_gain": _rounded(curves.deletion_gain),
        "insertion_gain": _rounded(curves.insertion_gain),
        "randomised": {stage: _rounded(value) for stage, value in checks.randomised.items()},
        "stability": _rounded(checks.stability),
    }


def _rounded(value: ArrayLike | None) -> Any:
    """A number of `DIGITS`, or nested lists of such; null for what is None or not finite."""
    if value is None:
        return None
    array = np.asarray(value, dtype=np.float64)
    if array.ndim:
        return [_rounded(item) for item in array]
    return float(f"{float(array):.{DIGITS}g}") if np.isfinite(array) else None
