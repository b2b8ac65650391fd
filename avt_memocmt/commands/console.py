"""What the commands share: output and log, progress bars, options, the exit status."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

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

from avt_memocmt.data.baseline_scope import read_scope
from avt_memocmt.engines.names import EngineName
from avt_memocmt.errors import AvtError

output = Console(highlight=False, markup=False)
"""Tables, on stdout."""
log = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
"""Everything that is no result, on stderr."""


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

Transcript = Annotated[
    str | None, typer.Option(help="The words: text, or a .srt, .vtt or .txt file.")
]

AudioTrack = Annotated[
    int | None,
    typer.Option(
        "--audio-track",
        min=1,
        help="The sound track to hear, counted from 1. Unless given: the main one of the file, or "
        "another where that is silent.",
    ),
]

JsonFile = Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")]

EngineOption = Annotated[
    EngineName,
    typer.Option(
        help="torch-bf16 is faster where the processor has bfloat16 units, torch-cuda needs a GPU; "
        "onnx and openvino run the folder of --checkpoint that export wrote."
    ),
]


def _known_scope(text: str) -> str:
    try:
        read_scope(text)
    except AvtError as error:
        raise typer.BadParameter(str(error)) from error
    return text


SpeakerBaseline = Annotated[
    str,
    typer.Option(
        metavar="off|past|all|N",
        callback=_known_scope,
        help="What an utterance is judged against, of the same speaker: nothing, the earlier turns "
        "of the dialogue, all other utterances of the data, or N of them. No label is used.",
    ),
]


def log_failure(name: object, reason: str) -> None:
    """Say on stderr that something failed, and why."""
    log.print(f"failed: {name}: {reason}", style="red")


def exit_after(failures: Iterable[tuple[object, str]]) -> NoReturn:
    """Report each failure, a name and a reason; end with status 1 if there is any, else with 0."""
    failures = list(failures)
    for name, reason in failures:
        log_failure(name, reason)
    raise typer.Exit(1 if failures else 0)


class _RateColumn(ProgressColumn):
    """Steps or seconds done in a second."""

    def render(self, task: Task) -> Text:
        """The rate over the last half minute."""
        return Text("" if task.speed is None else f"{task.speed:.1f}/s")


def _progress() -> Progress:
    """A bar with counts, their rate and the time left, hidden if stderr is not a terminal."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=log, transient=True, disable=not log.is_terminal)


@contextmanager
def counted_progress(name: str) -> Iterator[Callable[[float, float | None], None]]:
    """Show how much is done; yields a function of the steps or seconds done and of their total."""
    with _progress() as bar:

        def show(done: float, total: float | None) -> None:
            # What an earlier run did took no time now, so the rate must not count it.
            if not bar.tasks:
                bar.add_task(name, total=total, completed=int(done))
            bar.update(bar.tasks[0].id, completed=done, total=total)

        yield show


@contextmanager
def step_progress(name: str, total: int) -> Iterator[Callable[..., None]]:
    """Show how many steps are done; yields a function that adds one step, or as many as given."""
    with _progress() as bar:
        task = bar.add_task(name, total=total)
        yield lambda count=1: bar.advance(task, count)
