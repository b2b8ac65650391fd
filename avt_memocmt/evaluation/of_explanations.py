"""Runs the checks of `faithfulness` on many labelled clips: do explanations beat chance?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from avt_memocmt.config import MODALITIES
from avt_memocmt.data.manifest import ManifestRow
from avt_memocmt.evaluation.evaluation import FailedRow
from avt_memocmt.evaluation.on_manifest import evaluate_manifest
from avt_memocmt.explainability.explanation import (
    ExplainingRecognizer,
    ExplainSettings,
    UtteranceExplanation,
)
from avt_memocmt.explainability.faithfulness import CLASSIFIERS, STAGES
from avt_memocmt.inference.recognizer import Recognizer
from avt_memocmt.metrics.intervals import mean_interval
from avt_memocmt.wording import markdown, with_interval


@dataclass(frozen=True)
class CheckedAttribution:
    """Results of the checks on the explanation of one modality of one utterance.

    Attributes:
        dialogue: to which the utterance belongs.
        present: the utterance's modalities, joined by "+".
        modality: the modality that is explained.
        method: name of the method that explains it.
        deletion_gain, insertion_gain: over random orders, see `faithfulness.Curves`.
        completeness_error: share of the logit's change that the scores miss; None for methods whose
            scores do not sum to it.
        randomised: see `faithfulness.randomised_similarity`.
        stability: see `faithfulness.stability`.
    """

    dialogue: str
    present: str
    modality: str
    method: str
    deletion_gain: float
    insertion_gain: float
    completeness_error: float | None
    randomised: dict[str, float]
    stability: float


@dataclass(frozen=True)
class CheckTable:
    """The checks of a manifest's rows, and the rows that could not be explained."""

    rows: tuple[CheckedAttribution, ...]
    failures: tuple[FailedRow, ...]

    def summary(self) -> list[dict[str, Any]]:
        """Means with 95 % intervals over dialogues, per modalities present and modality explained.

        A method beats chance where the lower bound of a gain is above 0.
        """
        kinds: dict[tuple[str, str, str], list[CheckedAttribution]] = {}
        for row in self.rows:
            kinds.setdefault((row.present, row.modality, row.method), []).append(row)
        order = sorted(kinds, key=lambda kind: (kind[0], MODALITIES.index(kind[1])))
        return [_summarise(kinds[kind]) for kind in order]

    def to_json(self) -> dict[str, Any]:
        """The summary and every row behind it."""
        return {
            "summary": self.summary(),
            "rows": [asdict(row) for row in self.rows],
            "failed": [failure.to_json() for failure in self.failures],
        }

    def to_markdown(self) -> str:
        """The summary as a table."""
        heads = (
            *("present", "explained", "method", "n", "deletion gain", "insertion gain"),
            *("completeness error", "all layers shuffled", "classifiers shuffled", "stability"),
        )
        rows = []
        for kind in self.summary():
            error = kind["completeness_error"]
            gains = kind["deletion_gain"], kind["insertion_gain"]
            cells = (
                *(kind["present"], kind["modality"], kind["method"], str(kind["n"])),
                *(with_interval(g["mean"], g["interval_95"], "+") for g in gains),
                "" if error is None else f"{error:.1%}",
                f"{kind['randomised'][STAGES[-1]]:.2f}",
                f"{kind['randomised'][CLASSIFIERS]:.2f}",
                f"{kind['stability']:.2f}",
            )
            rows.append(cells)
        return markdown(heads, rows) + "\n"


def check_manifest(
    recognizer: Recognizer,
    dialogues: Sequence[Sequence[ManifestRow]],
    progress: Callable[[], None] = lambda: None,
) -> CheckTable:
    """Explain and check every row; each turn of a dialogue is decided from itself and its past.

    Args:
        recognizer: whose decisions are explained.
        dialogues: from `read_manifest`; see `spread`.
        progress: called after every row.
    """
    explaining = ExplainingRecognizer(recognizer, ExplainSettings(check=True))
    rows: list[CheckedAttribution] = []
    failures: list[FailedRow] = []
    for turns in dialogues:
        found = evaluate_manifest(explaining, [turns], progress=progress)
        failures += found.failures
        for explained in explaining.reader.explanations:
            rows += _checked(explained, turns[0].dialogue)
    return CheckTable(tuple(rows), tuple(failures))


def spread(dialogues: Sequence[Sequence[ManifestRow]], limit: int) -> list[Sequence[ManifestRow]]:
    """Every n-th dialogue, so that about `limit` rows remain."""
    step = max(1, round(sum(len(turns) for turns in dialogues) / limit))
    return list(dialogues[::step])


def _checked(explained: UtteranceExplanation, dialogue: str) -> list[CheckedAttribution]:
    present = "+".join(m for m in MODALITIES if m in explained.attributions)
    rows = []
    for modality, attribution in explained.attributions.items():
        checks = explained.checks[modality]
        error = None
        if attribution.completeness is not None and attribution.change:
            error = abs(attribution.completeness / attribution.change)
        rows.append(
            CheckedAttribution(
                dialogue,
                present,
                modality,
                attribution.method,
                checks.curves.deletion_gain,
                checks.curves.insertion_gain,
                error,
                checks.randomised,
                checks.stability,
            )
        )
    return rows


def _summarise(rows: Sequence[CheckedAttribution]) -> dict[str, Any]:
    groups = [row.dialogue for row in rows]
    errors = [row.completeness_error for row in rows if row.completeness_error is not None]
    found: dict[str, Any] = {
        "present": rows[0].present,
        "modality": rows[0].modality,
        "method": rows[0].method,
        "n": len(rows),
        "completeness_error": float(np.median(errors)) if errors else None,
        "randomised": {
            stage: float(np.mean([row.randomised[stage] for row in rows])) for stage in STAGES
        },
        "stability": float(np.mean([row.stability for row in rows])),
    }
    for name in ("deletion_gain", "insertion_gain"):
        gains = [getattr(row, name) for row in rows]
        found[name] = {
            "mean": float(np.mean(gains)),
            "interval_95": mean_interval(gains, groups),
            "share_above_0": float(np.mean(np.array(gains) > 0)),
        }
    return found
