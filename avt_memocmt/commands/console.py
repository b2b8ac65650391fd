"""What the commands share: output and log, progress bars, options, the exit status."""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, NoReturn, TextIO

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
from avt_memocmt.inference.which_faces import WhichFaces
from avt_memocmt.json_files import json_text
from avt_memocmt.printable import printable


class _SafeConsole(Console):
    """Prints names and words of others without obeying them: no escape sequence is passed on."""

    def render_str(self, text: str, **options: Any) -> Text:
        """See `Console.render_str`, through which every string goes, also those of tables."""
        return super().render_str(printable(text), **options)

    def on_broken_pipe(self) -> None:
        """Leave it to the caller whether work goes on without a reader."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    def print(self, *objects: Any, **options: Any) -> None:
        """See `Console.print`; a log that cannot be written ends no work.

        Raises:
            AvtError: stdout cannot be written.
            BrokenPipeError: nobody reads stdout any more.
        """
        if not self.stderr:
            with _writing_to_stdout():
                return super().print(*objects, **options)
        try:
            super().print(*objects, **options)
        except OSError:
            self.quiet = True
            _forget_output(sys.stderr)


output = _SafeConsole(highlight=False, markup=False)
"""Tables, on stdout."""
log = _SafeConsole(stderr=True, highlight=False, soft_wrap=True, markup=False)
"""Everything that is no result, on stderr."""


class _ConsoleHandler(logging.Handler):
    """Prints log records above a progress bar; `RichHandler` would break long lines."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message alone."""
        for line in self.format(record).splitlines():
            log.print(line)


_HANDLER = _ConsoleHandler()


def show_library_log() -> None:
    """Show on stderr what the package logs; a second call changes nothing."""
    logger = logging.getLogger("avt_memocmt")
    logger.setLevel(logging.INFO)
    logger.addHandler(_HANDLER)


Checkpoint = Annotated[
    str,
    typer.Option(help="A checkpoint folder, the name of the one that ships, or hf://user/name."),
]

Transcript = Annotated[
    str | None, typer.Option(help="The words: text, or a .srt, .vtt or .txt file.")
]

Faces = Annotated[
    WhichFaces,
    typer.Option(
        help="The face that counts where several are seen: the one whose mouth moves with the "
        "sound, or the largest. With all, the others have an emotion of their own beside it."
    ),
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

Speakers = Annotated[
    str,
    typer.Option(
        metavar="auto|N|off",
        help="How many speak, where no captions say who: found out (auto, where the extra speakers "
        "is installed), a number, or nobody is told apart (off).",
    ),
]
MinSpeakers = Annotated[int | None, typer.Option(min=1, help="Fewest that auto may find.")]
MaxSpeakers = Annotated[int | None, typer.Option(min=1, help="Most that auto may find.")]

JsonFile = Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")]

Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS|FILE",
        help="Let the workers of a Dask cluster do it: tcp://HOST:PORT, or the file that dask "
        "scheduler --scheduler-file writes. They must see the same folders.",
    ),
]

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


def require_one_place(workers: int | None, scheduler: str | None, option: str) -> None:
    """Check that work is not given to this machine and to a cluster at once.

    Args:
        workers: processes of this machine, or None.
        scheduler: of the cluster, or None.
        option: that sets `workers`.

    Raises:
        AvtError: both are given.
    """
    if workers is not None and scheduler is not None:
        raise AvtError(
            f"{option} counts processes of this machine, and --scheduler uses the workers of a "
            f"cluster; leave out one of the two."
        )


def prepare_output() -> None:
    """Let every character be printed: what the output's encoding lacks becomes an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_lines(text: str) -> None:
    """Print lines on stdout as they are, neither wrapped nor obeyed; errors as of `print_json`."""
    with _writing_to_stdout():
        for line in text.split("\n"):
            print(printable(line))
        sys.stdout.flush()


def print_json(value: object) -> None:
    """Print a value on stdout as one line of JSON, in ASCII where the output is not Unicode.

    Raises:
        AvtError: stdout cannot be written.
        BrokenPipeError: nobody reads stdout any more.
    """
    encoding = (getattr(sys.stdout, "encoding", None) or "").lower()
    with _writing_to_stdout():
        print(json_text(value, ascii_only=not encoding.startswith("utf")), flush=True)


@contextmanager
def _writing_to_stdout() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        _forget_output(sys.stdout)
        raise
    except OSError as error:
        _forget_output(sys.stdout)
        raise AvtError(f"the results cannot be written to stdout: {error.strerror}.") from error


def _forget_output(stream: TextIO) -> None:
    """Drop what a stream still holds, because its reader is gone or its disk is full.

    Python would try to write it again at its end, and complain.
    """
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def log_failure(name: object, reason: str) -> None:
    """Say on stderr that something failed, and why."""
    log.print(f"failed: {name}: {reason}", style="red")


@contextmanager
def recorded(failures: list[tuple[str, str]], name: object) -> Iterator[None]:
    """Let what fails in the block be one of several failures, not the end."""
    try:
        yield
    except AvtError as error:
        failures.append((str(name), str(error)))


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
                bar.add_task(printable(name), total=total, completed=int(done))
            bar.update(bar.tasks[0].id, completed=done, total=total)

        yield show


@contextmanager
def step_progress(name: str, total: int) -> Iterator[Callable[..., None]]:
    """Show how many steps are done; yields a function that adds one step, or as many as given."""
    with _progress() as bar:
        task = bar.add_task(printable(name), total=total)
        yield lambda count=1: bar.advance(task, count)
