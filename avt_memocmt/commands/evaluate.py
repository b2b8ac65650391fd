"""`avt-memocmt evaluate`: measure a checkpoint on labelled data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from avt_memocmt.commands.console import Checkpoint, log, progress_bar
from avt_memocmt.files import writable_folder, write_atomically


def evaluate(
    manifest: Annotated[
        Path,
        typer.Option(
            help="CSV with the columns path, text, emotion and optionally dialogue_id, "
            "utterance_id, speaker, start, end."
        ),
    ],
    json_out: Annotated[
        Path | None, typer.Option("--json", help="Write the figures to this file.")
    ] = None,
    checkpoint: Checkpoint = "embedded",
    transcribe: Annotated[
        bool, typer.Option("--transcribe", help="Recognise the words of rows without text.")
    ] = False,
) -> None:
    """Measure a checkpoint on labelled clips: accuracy, F1, UAR, confusion, intervals."""
    from avt_memocmt.data.manifest import read_manifest
    from avt_memocmt.inference.evaluation import evaluate_manifest
    from avt_memocmt.inference.recognizer import EmotionRecognizer

    dialogues = read_manifest(manifest)
    if json_out is not None:
        writable_folder(json_out.parent)
    recognizer = EmotionRecognizer.from_pretrained(checkpoint)
    total = sum(len(rows) for rows in dialogues)
    with progress_bar() as bar:
        task = bar.add_task("evaluating", total=total)
        result = evaluate_manifest(
            recognizer, dialogues, transcribe=transcribe, progress=lambda: bar.advance(task)
        )
    report = {**result.report(), "checkpoint": checkpoint, "context": "past-only"}
    if json_out is not None:
        write_atomically(json_out, json.dumps(report, indent=2).encode())
    _print_scores(report)
    for line, path, reason in result.failures:
        log.print(f"failed: line {line} {path}: {reason}", style="red", markup=False)
    raise typer.Exit(1 if result.failures else 0)


def _print_scores(report: dict[str, Any]) -> None:
    table = Table(box=None)
    for heading in ("measure", "value", "95 % interval"):
        table.add_column(heading)
    for name in ("accuracy", "weighted_f1", "macro_f1", "uar"):
        low, high = report["intervals_95"][name]
        table.add_row(name, f"{report[name]:.4f}", f"{low:.4f} to {high:.4f}")
    console = Console(highlight=False)
    console.print(f"n = {report['n']}, failed = {len(report['failed'])}")
    console.print(table)
