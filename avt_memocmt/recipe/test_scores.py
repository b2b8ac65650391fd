"""Figures of a finished model on the report parts, which chose nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from avt_memocmt.metrics.calibration import calibration_error
from avt_memocmt.metrics.intervals import bootstrap_intervals
from avt_memocmt.metrics.scores import recall_per_class, scores
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.recipe.examples import Example
from avt_memocmt.recipe.fusion import evaluation_examples, predict_examples
from avt_memocmt.recipe.synthetic_pairs import Sources, without

MODALITIES_ALONE = (("audio",), ("visual",), ("text",))
BOOTSTRAPS = 1000


def report_scores(model: AvtMemoCmt, part: Sources) -> dict[str, Any]:
    """MELD text, RAVDESS sound, FER+ faces, and synthetic matched pairs fused and alone."""
    examples = evaluation_examples(part)
    found: dict[str, Any] = {}
    for name, rows in examples.items():
        labels, probabilities = predict_examples(model, rows)
        truth, guesses = labels.tolist(), probabilities.argmax(axis=1).tolist()
        dialogue = [i for i, example in enumerate(rows) for _ in example.turns]
        found[name] = {
            "n": len(truth),
            **scores(truth, guesses),
            "intervals_95": bootstrap_intervals(truth, guesses, dialogue),
            "recall": recall_per_class(truth, guesses),
            "ece": calibration_error(labels, probabilities),
        }
    found["pairs_against_best_single"] = pairs_against_singles(model, examples["pairs"])
    return found


def pairs_against_singles(model: AvtMemoCmt, pairs: list[Example]) -> dict[str, Any]:
    """Fused UAR minus that of the best single modality on the same synthetic pairs.

    The interval is a paired bootstrap over pairs.
    """
    truth, probabilities = predict_examples(model, pairs)
    fused = probabilities.argmax(axis=1)
    alone = {}
    for kept in MODALITIES_ALONE:
        _, found = predict_examples(model, [without(pair, kept) for pair in pairs])
        alone[kept[0]] = found.argmax(axis=1)
    uar = {name: scores(truth.tolist(), g.tolist())["uar"] for name, g in alone.items()}
    best = max(uar, key=lambda name: uar[name])
    generator = np.random.default_rng(0)
    gains = []
    for _ in range(BOOTSTRAPS):
        rows = generator.integers(len(truth), size=len(truth))
        gains.append(
            scores(truth[rows].tolist(), fused[rows].tolist())["uar"]
            - scores(truth[rows].tolist(), alone[best][rows].tolist())["uar"]
        )
    fused_uar = scores(truth.tolist(), fused.tolist())["uar"]
    return {
        "fused_uar": fused_uar,
        "single_uar": uar,
        "best_single": best,
        "gain": fused_uar - uar[best],
        "gain_interval_95": [float(q) for q in np.percentile(gains, [2.5, 97.5])],
    }
