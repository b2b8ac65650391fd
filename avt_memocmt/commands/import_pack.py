"""`avt-memocmt import-pack`: features that others extracted, into a feature store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from avt_memocmt.commands.console import log, step_progress


def import_pack(
    files: Annotated[list[Path], typer.Argument(help="Packs: .pkl, .pt, .npz or .csv.")],
    mapping: Annotated[
        str,
        typer.Option(help="What is where in them: a packaged mapping's name, or a YAML file."),
    ],
    index: Annotated[Path, typer.Option(help="The index that avt-memocmt prepare wrote.")],
    out: Annotated[Path, typer.Option(help="The feature store to make.")],
    split: Annotated[
        str | None,
        typer.Option(help="Split of the packs, where neither they nor their names tell it."),
    ] = None,
) -> None:
    """Bring features that others extracted into a feature store."""
    from avt_memocmt.data.index import read_index
    from avt_memocmt.data.packs.importer import import_packs
    from avt_memocmt.data.packs.mapping import load_mapping

    layout, records = load_mapping(mapping), read_index(index)
    with step_progress("importing", len(files)) as advance:
        report = import_packs(files, layout, records, out, split, progress=advance)
    log.print(f"{report.rows} utterances in {out}")
    for modality, count in report.present.items():
        empty = report.not_measured[modality]
        note = f", {empty} of their values not measured" if empty else ""
        log.print(f"{modality}: {count} present{note}")
    for count, what in (
        (report.missing, "utterances of the index are not in the packs and have no tokens"),
        (report.unknown, "utterances of the packs are not in the index and were left out"),
        (report.disagreeing, "labels of the packs differ from the index, whose labels stand"),
    ):
        if count:
            log.print(f"{count} {what}")
