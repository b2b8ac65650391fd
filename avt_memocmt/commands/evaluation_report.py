"""What every evaluation does with its figures: the comparison, the files, the table on stdout."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from avt_memocmt.commands.console import exit_after, log, output, recorded
from avt_memocmt.errors import AvtError
from avt_memocmt.files import writable_folder, write_atomically

if TYPE_CHECKING:
    from avt_memocmt.evaluation.evaluation import Evaluation
    from avt_memocmt.evaluation.provenance import Provenance

    Measured = tuple[Evaluation, Provenance]
    Measure = Callable[[Path], Measured]
    """Called with a checkpoint folder."""

Compare = Annotated[
    str | None,
    typer.Option(help="A second checkpoint, run by torch, for the difference to it."),
]
Experiments = Annotated[
    Path | None,
    typer.Option(help="Folder for results.csv, results.md and confusion_matrix.png."),
]


def report_evaluation(
    checkpoint: str,
    measure: Measure,
    compare: str | None,
    measure_second: Measure,
    json_file: Path | None,
    experiments: Path | None,
) -> None:
    """Measure one or two checkpoints, write the files that are asked for and print the table.

    Raises:
        AvtError: a checkpoint cannot be measured, or a file cannot be written.
        typer.Exit: at the end, with status 1 where utterances failed, 0 otherwise.
    """
    _check_outputs(json_file, experiments)
    evaluation, provenance = measure(_checkpoint_folder(checkpoint))
    report = {**evaluation.report(), "checkpoint": checkpoint, **asdict(provenance)}
    if compare is not None:
        second = measure_second(_checkpoint_folder(compare))
        report["comparison"] = {"checkpoint": compare, **_comparison(evaluation, second)}
    failures = [(f"{row.name} {row.path}".strip(), row.reason) for row in evaluation.failures]
    if json_file is not None:
        with recorded(failures, json_file):
            write_atomically(json_file, json.dumps(report, indent=2).encode())
    if experiments is not None:
        with recorded(failures, experiments):
            _write_results(evaluation, provenance, experiments)
    _print_scores(report)
    exit_after(failures)


def _check_outputs(json_file: Path | None, experiments: Path | None) -> None:
    """Refuse files that cannot be written before any long work."""
    from avt_memocmt.evaluation.results_table import RESULTS_FILE, read_results

    if json_file is not None:
        writable_folder(json_file.parent)
    if experiments is not None:
        writable_folder(experiments)
        read_results(experiments / RESULTS_FILE)


def _checkpoint_folder(name: str) -> Path:
    from avt_memocmt.models.checkpoint import checkpoint_folder

    try:
        return checkpoint_folder(name)
    except AvtError as error:
        raise AvtError(f"{error} avt-memocmt train (or python train.py) makes one.") from error


def _comparison(evaluation: Evaluation, second: Measured) -> dict[str, Any]:
    from avt_memocmt.metrics.scores import scores

    other, provenance = second
    differences = evaluation.differences(other)
    return {
        **asdict(provenance),
        **scores(other.truth, other.predicted),
        "ece": other.ece,
        "agreement": evaluation.agreement(other),
        "differences": {name: asdict(found) for name, found in differences.items()},
    }


def _write_results(evaluation: Evaluation, provenance: Provenance, folder: Path) -> None:
    from avt_memocmt.evaluation.confusion_matrix import CONFUSION_FILE, draw_confusion
    from avt_memocmt.evaluation.results_table import RESULTS_FILE, SUMMARY_FILE, record_result

    record_result(folder, evaluation, provenance)
    title = f"{provenance.model}, {provenance.split}, seed {provenance.seed}, {provenance.context}"
    draw_confusion(evaluation.counts, folder / CONFUSION_FILE, title, evaluation.labels)
    log.print(f"wrote {RESULTS_FILE}, {SUMMARY_FILE} and {CONFUSION_FILE} in {folder}")


def _print_scores(report: dict[str, Any]) -> None:
    table = Table("measure", "value", "95 % interval", box=None)
    for name, interval in report["intervals_95"].items():
        table.add_row(name, f"{report[name]:.4f}", _interval(interval))
    if report["roc_auc"] is not None:
        table.add_row("roc_auc", f"{report['roc_auc']:.4f}", "")
    if report["ece"] is not None:
        table.add_row("ece", f"{report['ece']:.4f}", "")
        table.add_row("mean_confidence", f"{report['mean_confidence']:.4f}", "")
        gap = f"{report['confidence_minus_accuracy']:+.4f}"
        table.add_row("confidence_minus_accuracy", gap, "")
    for name, value in report.get("sentiment", {}).items():
        if value is not None:
            shown = str(value) if name == "n" else f"{value:.4f}"
            table.add_row(f"sentiment: {name}", shown, "")
    for name, found in report["alone"].items():
        gain = found["fused_minus_alone"]["uar"]
        table.add_row(f"uar of {name} alone, n = {found['n']}", f"{found['uar']:.4f}", "")
        table.add_row("  fused minus that", *_difference(gain))
    for column, found in report["by"].items():
        for value, own in found["values"].items():
            row = f"accuracy where {column} is {value}, n = {own['n']}"
            table.add_row(row, f"{own['accuracy']:.4f}", "")
        if found["gap"] is not None:
            table.add_row(f"gap between values of {column}", f"{found['gap']:.4f}", "")
    if "comparison" in report:
        other = report["comparison"]["model"]
        table.add_row(f"same emotion as {other}", f"{report['comparison']['agreement']:.4f}", "")
        for name, found in report["comparison"]["differences"].items():
            table.add_row(f"{name} - {other}", *_difference(found))
    unlabelled = f", unlabelled = {report['unlabelled']}" if report["unlabelled"] else ""
    output.print(f"n = {report['n']}, failed = {len(report['failed'])}{unlabelled}")
    output.print(table)


def _difference(found: dict[str, Any]) -> tuple[str, str]:
    return f"{found['difference']:+.4f}", _interval(found["interval_95"], "+.4f")


def _interval(bounds: tuple[float, float], form: str = ".4f") -> str:
    return f"{bounds[0]:{form}} to {bounds[1]:{form}}"
