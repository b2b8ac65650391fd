"""Figures of a finished network on the test parts, which chose nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from avt_memocmt.config import MODALITIES, Config
from avt_memocmt.data.labelled_dialogues import LabelledDialogue
from avt_memocmt.evaluation.on_features import evaluate_dialogues
from avt_memocmt.metrics.scores import MAIN_SCORES
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.recipe.fusion import HeldBack

FIGURES = ("n", *MAIN_SCORES, "intervals_95", "recall", "ece")
"""Figures of an `Evaluation` that a checkpoint keeps."""


def report_scores(model: AvtMemoCmt, config: Config, test: HeldBack) -> dict[str, Any]:
    """MELD's words, RAVDESS sound, FER+ faces, and synthetic matched pairs fused and alone.

    Args:
        model: in evaluation mode.
        config: of the model.
        test: from `held_back`.
    """
    found: dict[str, Any] = {}
    for kind, dialogues in test.items():
        report = evaluate_dialogues(model, config, dialogues).report()
        found[kind] = {name: report[name] for name in FIGURES}
    found["pairs_against_best_single"] = pairs_against_singles(model, config, test["pairs"])
    return found


def pairs_against_singles(
    model: AvtMemoCmt, config: Config, pairs: Sequence[LabelledDialogue]
) -> dict[str, Any]:
    """UAR of all modalities minus that of the best single one on the same synthetic pairs."""
    singles = {
        name: evaluate_dialogues(
            model, config, [pair.only((name,)) for pair in pairs]
        ).probabilities
        for name in MODALITIES
    }
    report = replace(evaluate_dialogues(model, config, pairs), alone=singles).report()
    alone = report["alone"]
    best = max(alone, key=lambda name: float(alone[name]["uar"]))
    gain = alone[best]["fused_minus_alone"]["uar"]
    return {
        "fused_uar": report["uar"],
        "single_uar": {name: figures["uar"] for name, figures in alone.items()},
        "best_single": best,
        "gain": gain["difference"],
        "gain_interval_95": list(gain["interval_95"]),
    }
