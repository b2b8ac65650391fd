"""`avt-memocmt explain MANIFEST.csv --check`: whether explanations beat chance on many clips."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from avt_memocmt.commands.console import counted_progress, log
from avt_memocmt.files import writable_folder, write_atomically

JSON_FILE, TABLE_FILE = "faithfulness.json", "faithfulness.md"


def check_explanations(manifest: Path, out: Path, limit: int, checkpoint: str) -> None:
    """Check the explanations of about `limit` rows of a manifest and write the table into `out`.

    Raises:
        AvtError: the manifest, the checkpoint or the folder cannot be used.
        typer.Exit: with status 1 after all, where a row could not be explained.
    """
    from avt_memocmt.api import EmotionRecognizer
    from avt_memocmt.data.manifest import read_manifest
    from avt_memocmt.evaluation.of_explanations import check_manifest, spread

    dialogues = spread(read_manifest(manifest), limit)
    writable_folder(out)
    recognizer = EmotionRecognizer.from_pretrained(checkpoint)
    total = sum(len(turns) for turns in dialogues)
    with counted_progress(manifest.name) as show:
        done = iter(range(1, total + 1))
        table = check_manifest(recognizer, dialogues, lambda: show(next(done), total))
    write_atomically(out / JSON_FILE, json.dumps(table.to_json(), indent=1).encode())
    write_atomically(out / TABLE_FILE, table.to_markdown().encode())
    typer.echo(table.to_markdown(), nl=False)
    log.print(f"wrote {out / TABLE_FILE} and {JSON_FILE} beside it", markup=False)
    for failure in table.failures:
        log.print(f"failed: {failure.name} {failure.path}: {failure.reason}", markup=False)
    if table.failures:
        raise typer.Exit(1)
