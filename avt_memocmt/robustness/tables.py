"""Robustness as a table for programs, a table for readers, and a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from avt_memocmt.emotions import NUM_EMOTIONS
from avt_memocmt.files import write_atomically, write_csv
from avt_memocmt.metrics.scores import FAILED, MAIN_SCORES
from avt_memocmt.robustness.conditions import Trial
from avt_memocmt.robustness.run import Measurement
from avt_memocmt.robustness.samples import SEED
from avt_memocmt.wording import SCORE_NAMES, markdown, with_interval

CSV_FILE, SUMMARY_FILE, PICTURE_FILE = "robustness.csv", "robustness.md", "robustness.png"

Results = Sequence[tuple[Trial, Sequence[Measurement]]]

_SIDES = ("", "_low", "_high", "_change", "_change_low", "_change_high")
COLUMNS = (
    *("trial", "condition", "n", "failed", "faces_not_found"),
    *(f"{name}{side}" for name in MAIN_SCORES for side in _SIDES),
    *("seed", "seconds", "version", "checkpoint_sha256", "data_sha256"),
)
"""Of robustness.csv. Scores are shares from 0 to 1; `_low` and `_high` bound 95 % intervals;
`_change` is the difference from the trial's first condition, empty for that one."""

# Okabe & Ito (2008), as in `emotions.COLOURS`.
_BLUE, _GREY, _RED = "#0072B2", "#999999", "#D55E00"

_SHOWN = ("accuracy", "weighted_f1", "uar")


def write_robustness(results: Results, checkpoint: str, folder: Path) -> None:
    """Write robustness.csv, robustness.md and robustness.png, each whole or not at all.

    Args:
        results: every trial with its measurements.
        checkpoint: its name.
        folder: exists.

    Raises:
        AvtError: a file cannot be written.
    """
    rows = [_row(trial, found) for trial, measured in results for found in measured]
    write_csv(folder / CSV_FILE, COLUMNS, rows)
    write_atomically(folder / SUMMARY_FILE, _markdown(results, checkpoint).encode())
    write_atomically(folder / PICTURE_FILE, _picture(results))


def _row(trial: Trial, measurement: Measurement) -> dict[str, Any]:
    """One line of robustness.csv, without the cells of a change where there is none."""
    answers = measurement.answers
    cells = {
        **vars(answers),
        "trial": trial.name,
        "condition": measurement.condition,
        "n": len(answers.predicted),
        "failed": answers.predicted.count(FAILED),
        "seed": SEED,
        "seconds": f"{answers.seconds:.1f}",
    }
    del cells["predicted"]
    for name in MAIN_SCORES:
        figures = [measurement.scores[name], *measurement.intervals[name]]
        if name in measurement.changes:
            change = measurement.changes[name]
            figures += [change.difference, *change.interval_95]
        cells |= {f"{name}{s}": f"{v:.6f}" for s, v in zip(_SIDES, figures, strict=False)}
    return cells


def _markdown(results: Results, checkpoint: str) -> str:
    answers = [measurement.answers for _, measurements in results for measurement in measurements]
    seconds = sum(found.seconds for found in answers)
    lines = [
        "# Robustness",
        "",
        f"Checkpoint {checkpoint} (SHA-256 {answers[0].checkpoint_sha256[:12]}), version "
        f"{answers[0].version}, seed {SEED}; {seconds:.0f} s of computing. Shares from 0 to 1, "
        "with 95 % bootstrap intervals. The change of UAR is that from the first row on the same "
        "samples, with a paired interval.",
        "",
    ]
    for trial, measurements in results:
        lines += [f"## {trial.name}", "", trial.about, ""]
        scores = (SCORE_NAMES[name] for name in _SHOWN)
        columns = ("condition", "n", *scores, "change of UAR", "faces not found")
        lines.append(markdown(columns, map(_cells, measurements)))
        if trial.failures:
            lines += ["", "Not readable, and errors in every row:", ""]
            lines += [f"- {name}: {reason}" for name, reason in trial.failures]
        lines.append("")
    return "\n".join(lines)


def _cells(measurement: Measurement) -> list[str]:
    change = measurement.changes.get("uar")
    return [
        measurement.condition,
        str(len(measurement.answers.predicted)),
        *(with_interval(measurement.scores[name], measurement.intervals[name]) for name in _SHOWN),
        "" if change is None else with_interval(change.difference, change.interval_95, "+"),
        str(measurement.answers.faces_not_found or ""),
    ]


def _picture(results: Results) -> bytes:
    """UAR and its interval under every condition, a panel for each trial."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * len(results), 3.9), layout="constrained")
    panels = figure.subplots(1, len(results), squeeze=False, sharex=True)[0]
    for axes, (trial, measurements) in zip(panels, results, strict=True):
        _draw(axes, trial, measurements)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()


def _draw(axes: Any, trial: Trial, measurements: Sequence[Measurement]) -> None:
    values = [m.scores["uar"] for m in measurements]
    below = [m.scores["uar"] - m.intervals["uar"][0] for m in measurements]
    above = [m.intervals["uar"][1] - m.scores["uar"] for m in measurements]
    # A percentile interval can lie beside its estimate where a class is rare.
    spread = [[max(0.0, side) for side in sides] for sides in (below, above)]
    places = range(len(measurements))
    axes.errorbar(
        values, places, xerr=spread, fmt="o", color=_BLUE, capsize=3, label="95 % interval"
    )
    axes.axvline(values[0], color=_GREY, linestyle="--", linewidth=1, label="first row")
    axes.axvline(
        1 / NUM_EMOTIONS, color=_RED, linestyle=":", linewidth=1, label=f"chance, 1/{NUM_EMOTIONS}"
    )
    axes.set_yticks(places, [m.condition for m in measurements])
    axes.invert_yaxis()
    axes.set(title=f"{trial.name}, n = {len(trial.samples)}", xlabel="UAR", xlim=(0, 1))
