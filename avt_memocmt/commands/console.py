"""What every command shares: the log, progress bars, common options."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

log = Console(stderr=True, highlight=False, soft_wrap=True)

Checkpoint = Annotated[
    str, typer.Option(help="A checkpoint folder, or the name of the one that ships.")
]


def progress_bar() -> Progress:
    """A bar with counts and the time left; silent where stderr is no terminal."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=log, transient=True, disable=not log.is_terminal)


@contextmanager
def media_progress(name: str) -> Iterator[Any]:
    """A bar on a terminal while one file is read, in seconds of media."""
    with progress_bar() as bar:
        task = bar.add_task(name, total=None)
        yield lambda seconds, total: bar.update(task, completed=seconds, total=total)
