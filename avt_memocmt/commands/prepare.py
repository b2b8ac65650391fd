"""`avt-memocmt prepare`: a MELD release into an index and a report of its faults."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from avt_memocmt.commands.console import counted_progress, log, output
from avt_memocmt.files import writable_folder, write_atomically

if TYPE_CHECKING:
    from avt_memocmt.data.meld.index import MeldIndex


def prepare(
    meld: Annotated[Path, typer.Option(help="Folder of the MELD release, in any layout.")],
    out: Annotated[Path, typer.Option(help="Folder for index.parquet and faults.md.")] = Path(
        "prepared/meld"
    ),
    drop_leaks: Annotated[
        bool, typer.Option("--drop-leaks", help="Leave out training turns of the other splits.")
    ] = False,
    prefer_final_videos: Annotated[
        bool,
        typer.Option("--prefer-final-videos", help="Use final_videos_test* for the plain clips."),
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that open clips; all cores by default.")
    ] = None,
) -> None:
    """Index a MELD release, repair its transcripts and report every fault of its clips."""
    from avt_memocmt.data.index import write_index
    from avt_memocmt.data.meld.index import fault_report, index_meld

    writable_folder(out)
    with counted_progress("checking clips") as show:
        index = index_meld(
            meld,
            prefer_final_videos=prefer_final_videos,
            workers=workers or os.cpu_count() or 1,
            progress=show,
        )
    if drop_leaks:
        index = index.without_leaks()
    write_index(index.records, out / "index.parquet")
    report = fault_report(index, meld.absolute())
    write_atomically(out / "faults.md", report.encode(errors="replace"))
    _print_summary(index)
    log.print(f"wrote {out / 'index.parquet'} and {out / 'faults.md'}")


def _print_summary(index: MeldIndex) -> None:
    from avt_memocmt.data.meld.index import summarise

    splits, counts = summarise(index)
    table = Table("", box=None)
    for split in splits:
        table.add_column(split, justify="right")
    for name, numbers in counts.items():
        table.add_row(name, *map(str, numbers))
    output.print(table)
