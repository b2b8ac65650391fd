"""What the commands share: the log on stderr, progress bars, options."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from avt_memocmt.engines.names import EngineName

log = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)


class _ConsoleHandler(logging.Handler):
    """Prints log records above a progress bar; `RichHandler` would break long lines."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message alone."""
        log.print(self.format(record))


_HANDLER = _ConsoleHandler()


def show_library_log() -> None:
    """Show on stderr what the package logs; a second call changes nothing."""
    logger = logging.getLogger("avt_memocmt")
    logger.setLevel(logging.INFO)
    logger.addHandler(_HANDLER)


Checkpoint = Annotated[
    str, typer.Option(help="A checkpoint folder, or the name of the one that ships.")
]

JsonFile = Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")]

EngineOption = Annotated[
    EngineName,
    typer.Option(
        help="torch-bf16 is faster where the processor has bfloat16 units, torch-cuda needs a GPU; "
        "onnx and openvino run the folder of --checkpoint that export wrote."
    ),
]


def log_failure(name: object, reason: str) -> None:
    """Say on stderr that something failed, and why."""
    log.print(f"failed: {name}: {reason}", style="red")


class RateColumn(ProgressColumn):
    """Steps a second."""

    def render(self, task: Task) -> Text:
        """The rate over the last half minute."""
        return Text("" if task.speed is None else f"{task.speed:.1f}/s")


def progress_bar(*more: ProgressColumn) -> Progress:
    """A bar with counts and the time left, hidden if stderr is not a terminal."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        *more,
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=log, transient=True, disable=not log.is_terminal)


@contextmanager
def media_progress(name: str) -> Iterator[Any]:
    """A bar for reading one file; what is yielded takes the seconds read and those in all."""
    with progress_bar() as bar:
        task = bar.add_task(name, total=None)
        yield lambda seconds, total: bar.update(task, completed=seconds, total=total)


@contextmanager
def counted_progress(name: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for many steps; what is yielded takes the number done and the number in all."""
    with progress_bar(RateColumn()) as bar:

        def show(done: int, total: int) -> None:
            # What was there before the first call took no time and is no part of the rate.
            if not bar.tasks:
                bar.add_task(name, total=total, completed=done)
            bar.update(bar.tasks[0].id, completed=done)

        yield show
