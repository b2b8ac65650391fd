"""`avt-memocmt predict` file by file: --jobs, --scheduler, --resume or --watch."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from rich.table import Table

from avt_memocmt.commands.console import (
    counted_progress,
    log,
    log_failure,
    print_json,
    require_one_place,
)
from avt_memocmt.commands.interrupts import exit_status
from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.errors import AvtError
from avt_memocmt.files import writable_folder
from avt_memocmt.wording import clock, percent

if TYPE_CHECKING:
    from avt_memocmt.batch.predictor import Predictor
    from avt_memocmt.batch.run import Resumed
    from avt_memocmt.batch.tables import Row

_MOST_ROWS = 20
"""Files in the table at the end; all are in summary.csv."""


def predict_many(
    media: list[str],
    predictor: Predictor,
    *,
    jobs: int | None,
    scheduler: str | None,
    resume: bool,
    watch: bool,
    as_json: bool,
) -> NoReturn:
    """Predict every file into a result of its own, show what came of it, and exit.

    Raises:
        AvtError: as of `Batch`.
    """
    from avt_memocmt.batch.inputs import Inputs
    from avt_memocmt.batch.run import Batch, Report
    from avt_memocmt.cluster.pool import connected
    from avt_memocmt.workers import default_workers

    require_one_place(jobs, scheduler, "--jobs")
    writable_folder(predictor.folder)
    inputs = Inputs(media, is_watched=watch)
    status = 0
    if watch:
        log.print("looking for new files until Ctrl-C")
    with counted_progress("predicting") as show:
        report = Report(resumed=_log_resumed, progress=show, failed=log_failure)
        if as_json:
            report.done = _Lines().show
        shared = [predictor.folder, *map(Path, media)]
        with connected(scheduler, shared) if scheduler else nullcontext() as cluster:
            workers = cluster or jobs or default_workers()
            batch = Batch(inputs, predictor, workers, resume=resume, watch=watch, report=report)
            try:
                batch.run()
            except KeyboardInterrupt as interrupt:
                status = exit_status(interrupt)
    _print_summary(list(batch.rows.values()), len(batch.failures), predictor.folder)
    if status:
        log.print("interrupted; the same command with --resume goes on from here", style="red")
    raise typer.Exit(status or int(bool(batch.failures)))


def require_out(out: Path | None) -> Path:
    """The folder of a batch.

    Raises:
        AvtError: it is missing.
    """
    if out is None:
        raise AvtError(
            "--jobs, --scheduler, --resume and --watch need a folder for the results; give --out."
        )
    return out


def require_no_words(transcript: str | None, names: Path | None) -> None:
    """Check that a batch is given nothing that belongs to one input.

    Raises:
        AvtError: it is.
    """
    for given, option in ((transcript, "--transcript"), (names, "--speaker-names")):
        if given is not None:
            raise AvtError(
                f"{option} belongs to one input; leave out --jobs, --scheduler, --resume "
                "and --watch."
            )


class _Lines:
    """JSON Lines on stdout, for as long as somebody reads them; the folder has all results."""

    def __init__(self) -> None:
        self._is_read = True

    def show(self, prediction: dict[str, Any]) -> None:
        """Print the prediction of a file."""
        if not self._is_read:
            return
        try:
            print_json(prediction)
        except (AvtError, BrokenPipeError):
            self._is_read = False
            log.print("stdout cannot be written any more; the results go on into the folder")


def _log_resumed(resumed: Resumed) -> None:
    if resumed.kept:
        log.print(f"{resumed.kept} files are done already and stay as they are")
    if resumed.other_options:
        named = ", ".join(resumed.differing)
        log.print(
            f"{resumed.other_options} results were made with other options ({named}) and are made "
            "again"
        )


def _print_summary(rows: list[Row], n_failed: int, folder: Path) -> None:
    """The table at the end, on stderr: the longest files, and all together."""
    table = Table("file", "duration", "utterances", "speakers", "emotions", box=None)
    shown = sorted(rows, key=lambda row: row["duration"], reverse=True)[:_MOST_ROWS]
    for row in sorted(shown, key=lambda row: row["file"]):
        table.add_row(*_cells(row["file"], [row]))
    if len(rows) > len(shown):
        table.add_row(f"... and {len(rows) - len(shown)} shorter files")
    if len(rows) > 1:
        table.add_row(*_cells(f"all {len(rows)} files", rows))
    if rows:
        log.print(table)
    log.print(
        f"{len(rows)} files done, {n_failed} failed; wrote summary.csv and errors.csv into {folder}"
    )


def _cells(name: str, rows: list[Row]) -> list[str]:
    """Cells of files together: emotions by their share of the time, those below 1 % left out."""
    total = sum(row["duration"] for row in rows)
    speakers = str(rows[0]["speakers"]) if len(rows) == 1 else ""
    weights = [row["duration"] / total if total else 1 / len(rows) for row in rows]
    shares: dict[str, Any] = {
        name: sum(row[name] * weight for row, weight in zip(rows, weights, strict=True))
        for name in EMOTIONS
    }
    ranked = sorted(shares.items(), key=lambda item: item[1], reverse=True)
    said = ", ".join(f"{name} {percent(share)}" for name, share in ranked if share >= 0.01)
    return [name, clock(total), str(sum(row["utterances"] for row in rows)), speakers, said]
