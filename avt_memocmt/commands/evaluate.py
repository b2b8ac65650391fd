"""`avt-memocmt evaluate`: measure a checkpoint on labelled data."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from avt_memocmt.commands.console import EngineName, log
from avt_memocmt.commands.evaluation_sources import of_features, of_manifest, of_meld
from avt_memocmt.commands.settings import (
    DEFAULT_CONFIG,
    ConfigFile,
    Encoders,
    Overrides,
    Preset,
    resolve_config,
)
from avt_memocmt.config import PathsConfig
from avt_memocmt.errors import AvtError
from avt_memocmt.files import writable_folder, write_atomically

if TYPE_CHECKING:
    from avt_memocmt.evaluation.evaluation import Evaluation
    from avt_memocmt.evaluation.provenance import Provenance


def evaluate(
    manifest: Annotated[
        Path | None,
        typer.Option(
            help="CSV with the columns path, text, emotion and optionally dialogue_id, "
            "utterance_id, speaker, start, end."
        ),
    ] = None,
    features: Annotated[
        list[Path] | None,
        typer.Option(help="A feature store; repeated, they are joined by utterance."),
    ] = None,
    meld: Annotated[
        Path | None, typer.Option(help="A MELD folder in any layout; CSVs alone give text.")
    ] = None,
    split: Annotated[str, typer.Option(help="Of the features or of MELD.")] = "dev",
    checkpoint: Annotated[
        str | None,
        typer.Option(
            help="A checkpoint folder, or the name of the one that ships. Unless given: embedded "
            "with --manifest, paths.checkpoint otherwise."
        ),
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option(help="A second checkpoint, run by torch, for the difference to it."),
    ] = None,
    compare_features: Annotated[
        list[Path] | None,
        typer.Option(help="The second checkpoint's features; the same unless given."),
    ] = None,
    json_out: Annotated[
        Path | None, typer.Option("--json", help="Write the figures to this file.")
    ] = None,
    experiments: Annotated[
        Path | None,
        typer.Option(
            help="Folder for results.csv, results.md and confusion_matrix.png; paths.experiments "
            "unless given, and none with --manifest."
        ),
    ] = None,
    work: Annotated[
        Path, typer.Option(help="Folder for the feature stores that --meld makes.")
    ] = Path("features"),
    transcribe: Annotated[
        bool, typer.Option("--transcribe", help="Recognise the words of a manifest's rows.")
    ] = False,
    engine: EngineName = "torch",
    config: ConfigFile = DEFAULT_CONFIG,
    preset: Preset = None,
    encoders: Encoders = None,
    overrides: Overrides = None,
) -> None:
    """Measure a checkpoint: accuracy, F1, UAR, calibration, confusion, intervals over dialogues.

    The data is a manifest, feature stores or MELD; unless given, what config.yaml names in paths.
    """
    if sum(bool(source) for source in (manifest, features, meld)) > 1:
        raise AvtError("give one of --manifest, --features and --meld.")
    if compare_features and not (compare and features):
        raise AvtError("--compare-features belongs to --features and --compare.")
    if engine != "torch" and manifest is None:
        raise AvtError(f"--engine {engine} belongs to --manifest.")
    paths = _paths(config, preset, overrides)
    if manifest is not None:
        measure = of_manifest(manifest, transcribe, engine)
        reference = of_manifest(manifest, transcribe)
        name = checkpoint or "embedded"
    else:
        stored = features or _stored_features(paths, meld)
        meld = meld or paths.meld
        measure = of_features(stored, split) if stored else of_meld(meld, split, work, encoders)
        reference = of_features(compare_features, split) if compare_features else measure
        name = checkpoint or str(paths.checkpoint)
        experiments = experiments or paths.experiments
    _check_outputs(json_out, experiments)
    evaluation, provenance = measure(_checkpoint(name))
    report = {**evaluation.report(), "checkpoint": name, **asdict(provenance)}
    if compare is not None:
        report["comparison"] = _comparison(evaluation, compare, reference(_checkpoint(compare)))
    if json_out is not None:
        write_atomically(json_out, json.dumps(report, indent=2).encode())
    if experiments is not None:
        _write_results(evaluation, provenance, experiments)
    _print_scores(report)
    _print_failures(evaluation)
    raise typer.Exit(1 if evaluation.failures else 0)


def _paths(config: Path, preset: str | None, overrides: list[str] | None) -> PathsConfig:
    """Of the settings; the usual ones where nothing names any."""
    if config == DEFAULT_CONFIG and not config.is_file() and not preset and not overrides:
        return PathsConfig()
    return resolve_config(config, preset, None, overrides).paths


def _stored_features(paths: PathsConfig, meld: Path | None) -> list[Path]:
    """What a bare `evaluate` reads: the configured feature store, if it has been made."""
    from avt_memocmt.data.feature_store import MANIFEST_FILE

    if meld is not None or not (paths.features / MANIFEST_FILE).is_file():
        return []
    return [paths.features]


def _checkpoint(name: str) -> Path:
    from avt_memocmt.models.checkpoint import checkpoint_folder

    try:
        return checkpoint_folder(name)
    except AvtError as error:
        raise AvtError(f"{error} avt-memocmt train (or python train.py) makes one.") from error


def _check_outputs(json_out: Path | None, experiments: Path | None) -> None:
    """Before any long work: what is to be written can be."""
    from avt_memocmt.evaluation.results_table import RESULTS_FILE, read_results

    if json_out is not None:
        writable_folder(json_out.parent)
    if experiments is not None:
        writable_folder(experiments)
        read_results(experiments / RESULTS_FILE)


def _comparison(
    evaluation: Evaluation, checkpoint: str, second: tuple[Evaluation, Provenance]
) -> dict[str, Any]:
    from avt_memocmt.metrics.scores import scores

    other, provenance = second
    differences = evaluation.differences(other)
    return {
        "checkpoint": checkpoint,
        **asdict(provenance),
        **scores(other.truth, other.predicted),
        "ece": other.ece,
        "agreement": evaluation.agreement(other),
        "differences": {name: asdict(found) for name, found in differences.items()},
    }


def _write_results(evaluation: Evaluation, provenance: Provenance, folder: Path) -> None:
    from avt_memocmt.evaluation import confusion_matrix as confusion_picture
    from avt_memocmt.evaluation import results_table

    row = results_table.result_row(evaluation, provenance)
    rows = results_table.append_result(folder / results_table.RESULTS_FILE, row)
    summary = results_table.markdown_table(rows)
    write_atomically(folder / results_table.SUMMARY_FILE, summary.encode())
    title = f"{provenance.model}, {provenance.split}, seed {provenance.seed}, {provenance.context}"
    picture = folder / confusion_picture.CONFUSION_FILE
    confusion_picture.draw_confusion(evaluation.counts, picture, title)
    log.print(
        f"wrote {results_table.RESULTS_FILE}, {results_table.SUMMARY_FILE} and "
        f"{picture.name} in {folder}",
        markup=False,
    )


def _print_scores(report: dict[str, Any]) -> None:
    table = Table(box=None)
    for heading in ("measure", "value", "95 % interval"):
        table.add_column(heading)
    for name in ("accuracy", "weighted_f1", "macro_f1", "uar"):
        low, high = report["intervals_95"][name]
        table.add_row(name, f"{report[name]:.4f}", f"{low:.4f} to {high:.4f}")
    if report["ece"] is not None:
        table.add_row("ece", f"{report['ece']:.4f}", "")
    for name, found in report["alone"].items():
        gain = found["fused_minus_alone"]["uar"]
        low, high = gain["interval_95"]
        table.add_row(f"uar of {name} alone, n = {found['n']}", f"{found['uar']:.4f}", "")
        table.add_row(
            "  fused minus that", f"{gain['difference']:+.4f}", f"{low:+.4f} to {high:+.4f}"
        )
    if "comparison" in report:
        _add_comparison(table, report["comparison"])
    console = Console(highlight=False, markup=False)
    unlabelled = f", unlabelled = {report['unlabelled']}" if report["unlabelled"] else ""
    console.print(f"n = {report['n']}, failed = {len(report['failed'])}{unlabelled}")
    console.print(table)


def _add_comparison(table: Table, comparison: dict[str, Any]) -> None:
    other = comparison["model"]
    table.add_row(f"same emotion as {other}", f"{comparison['agreement']:.4f}", "")
    for name, found in comparison["differences"].items():
        low, high = found["interval_95"]
        difference = f"{found['difference']:+.4f}", f"{low:+.4f} to {high:+.4f}"
        table.add_row(f"{name} - {other}", *difference)


def _print_failures(evaluation: Evaluation) -> None:
    for failure in evaluation.failures:
        where = f"{failure.name} {failure.path}".strip()
        log.print(f"failed: {where}: {failure.reason}", style="red", markup=False)
