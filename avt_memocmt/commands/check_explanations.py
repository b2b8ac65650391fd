"""`avt-memocmt check-explanations`: whether explanations beat chance on many labelled clips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from avt_memocmt.commands.console import Checkpoint, exit_after, log, print_lines, step_progress
from avt_memocmt.errors import AvtError
from avt_memocmt.files import writable_folder, write_atomically

JSON_FILE, TABLE_FILE = "faithfulness.json", "faithfulness.md"


def check_explanations(
    manifest: Annotated[Path, typer.Argument(help="A CSV like that of evaluate-manifest.")],
    out: Annotated[Path, typer.Option(help="Folder for the table.")],
    limit: Annotated[int, typer.Option(min=1, help="About how many rows are checked.")] = 100,
    checkpoint: Checkpoint = "embedded",
) -> None:
    """Test the explanations of a manifest's rows against random ones; writes one table."""
    require_gradients(checkpoint)
    from avt_memocmt.api import load_named
    from avt_memocmt.data.manifest import read_manifest
    from avt_memocmt.evaluation.of_explanations import check_manifest, spread

    dialogues = spread(read_manifest(manifest), limit)
    writable_folder(out)
    recognizer = load_named(checkpoint)
    with step_progress(manifest.name, sum(map(len, dialogues))) as advance:
        table = check_manifest(recognizer, dialogues, advance)
    write_atomically(out / JSON_FILE, json.dumps(table.to_json(), indent=1).encode())
    write_atomically(out / TABLE_FILE, table.to_markdown().encode())
    print_lines(table.to_markdown().rstrip("\n"))
    log.print(f"wrote {out / TABLE_FILE} and {JSON_FILE} beside it")
    exit_after((f"{row.name} {row.path}", row.reason) for row in table.failures)


def require_gradients(checkpoint: str) -> None:
    """Refuse, before any long work, what explanations cannot be computed with.

    Raises:
        AvtError: the checkpoint is an ONNX graph, or Captum is not installed.
    """
    if Path(checkpoint).suffix == ".onnx":
        raise AvtError(
            f"{checkpoint} is an ONNX graph, which yields no gradients; explanations need the "
            "torch engine: give the checkpoint folder that it was exported from."
        )
    from avt_memocmt.explainability.installed import require_captum

    require_captum()
