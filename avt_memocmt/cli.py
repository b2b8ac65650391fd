"""The command line: `avt-memocmt predict | evaluate | train | preprocess | doctor`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from avt_memocmt import __version__
from avt_memocmt.cli_preprocess import app as preprocess_app
from avt_memocmt.errors import AvtError
from avt_memocmt.files import write_atomically

if TYPE_CHECKING:
    from avt_memocmt.inference.results import MediaPrediction
    from avt_memocmt.preprocessing.transcripts import Cue

app = typer.Typer(
    name="avt-memocmt",
    help="Emotion recognition in conversation from audio, video and text.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(preprocess_app, name="preprocess")

log = Console(stderr=True, highlight=False, soft_wrap=True)

Checkpoint = Annotated[
    str, typer.Option(help="A checkpoint folder, or the name of the one that ships.")
]


def main() -> None:
    """Run the command line; a user's mistake is one sentence on stderr and status 1."""
    try:
        app()
    except AvtError as error:
        log.print(f"error: {error}", style="red", markup=False)
        sys.exit(1)
    except BrokenPipeError:
        sys.exit(1)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


@app.command()
def predict(
    media: Annotated[list[str], typer.Argument(help="Videos, recordings, pictures or folders.")],
    transcript: Annotated[
        str | None, typer.Option(help="The words: text, or a .srt, .vtt or .txt file.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for predictions.json and report.html.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="JSON Lines on stdout, one object per input.")
    ] = False,
    transcribe: Annotated[
        bool, typer.Option(help="Let the packaged recogniser listen where no transcript is given.")
    ] = True,
    checkpoint: Checkpoint = "embedded",
) -> None:
    """Say what is felt, and when, in videos, recordings and pictures."""
    from avt_memocmt.explainability.report import write_report
    from avt_memocmt.inference.outputs import writable_folder
    from avt_memocmt.inference.results import to_json
    from avt_memocmt.media.reader import find_media
    from avt_memocmt.preprocessing.transcripts import load_transcript

    if out is not None:
        writable_folder(out)
    cues = load_transcript(transcript) if transcript else None
    failures: list[tuple[str, str]] = []
    files = _collect(media, find_media, failures)
    if cues and len(files) > 1:
        raise AvtError("--transcript belongs to one input; give a single file with it.")
    results: list[MediaPrediction] = []
    for result in _predictions(files, checkpoint, cues, transcribe, failures):
        results.append(result)
        if as_json:
            print(json.dumps(to_json(result), ensure_ascii=False), flush=True)
        else:
            _print_timeline(result)
    if out is not None:
        text = json.dumps([to_json(result) for result in results], indent=2, ensure_ascii=False)
        write_atomically(out / "predictions.json", text.encode())
        write_report(results, failures, out / "report.html")
        log.print(f"wrote {out / 'predictions.json'} and {out / 'report.html'}", markup=False)
    for _, reason in failures:
        log.print(f"failed: {reason}", style="red", markup=False)
    raise typer.Exit(1 if failures else 0)


@app.command()
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
    from avt_memocmt.inference.evaluation import evaluate_manifest
    from avt_memocmt.inference.manifest import read_manifest
    from avt_memocmt.inference.outputs import writable_folder
    from avt_memocmt.inference.recognizer import EmotionRecognizer

    dialogues = read_manifest(manifest)
    if json_out is not None:
        writable_folder(json_out.parent)
    recognizer = EmotionRecognizer.from_pretrained(checkpoint)
    total = sum(len(rows) for rows in dialogues)
    with _bar() as bar:
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


@app.command()
def train(
    data: Annotated[Path, typer.Option(help="Folder with meld/, ravdess/, speech/ and ferplus/.")],
    work: Annotated[
        Path, typer.Option(help="Folder for caches, logs and the finished checkpoint.")
    ] = Path("work/embedded"),
    preset: Annotated[str, typer.Option(help="What to train: embedded.")] = "embedded",
    seed: Annotated[int, typer.Option(help="Of every random choice.")] = 0,
) -> None:
    """Make the shipped weights again: text encoder, face network, fusion. Resumes after a stop."""
    from avt_memocmt.training.recipe import train_embedded

    if preset != "embedded":
        raise AvtError(f"unknown preset {preset!r}: this version trains the preset embedded.")
    folder = train_embedded(data, work, seed)
    log.print(f"the checkpoint is in {folder}", markup=False)


@app.command()
def doctor() -> None:
    """Say what is installed, which weights resolve, and what the processor offers."""
    from avt_memocmt.inference.doctor import gather_facts

    table = Table(show_header=False, box=None)
    for fact in gather_facts():
        mark = {True: "[green]ok[/]", False: "[red]missing[/]", None: ""}[fact.ok]
        table.add_row(mark, fact.name, escape(fact.value))
    Console(highlight=False).print(table)


def _collect(media: list[str], find: Any, failures: list[tuple[str, str]]) -> list[Path]:
    """Files of all arguments; an argument that leads to none becomes a failure."""
    files: list[Path] = []
    for argument in media:
        try:
            files += find(argument)
        except AvtError as error:
            failures.append((argument, str(error)))
    return files


def _predictions(
    files: list[Path],
    checkpoint: str,
    cues: list[Cue] | None,
    transcribe: bool,
    failures: list[tuple[str, str]],
) -> Iterator[MediaPrediction]:
    """Predict file by file; one that cannot be predicted becomes a failure."""
    if not files:
        return
    from avt_memocmt.inference.recognizer import EmotionRecognizer

    recognizer = EmotionRecognizer.from_pretrained(checkpoint)
    for path in files:
        try:
            with _progress(str(path)) as advance:
                result = recognizer.predict(path, cues, transcribe=transcribe, progress=advance)
        except AvtError as error:
            failures.append((str(path), str(error)))
        else:
            yield result


def _bar() -> Progress:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=log, transient=True, disable=not log.is_terminal)


@contextmanager
def _progress(name: str) -> Iterator[Any]:
    """A bar on a terminal while one file is read, in seconds of media."""
    with _bar() as bar:
        task = bar.add_task(name, total=None)
        yield lambda seconds, total: bar.update(task, completed=seconds, total=total)


def _print_timeline(result: MediaPrediction) -> None:
    table = Table(title=result.media, title_justify="left", box=None)
    for heading in ("start", "end", "emotion", "confidence", "text", "warnings"):
        table.add_column(heading)
    for turn in result.utterances:
        table.add_row(
            f"{turn.start:.2f}",
            f"{turn.end:.2f}",
            turn.emotion,
            f"{turn.confidence:.2f}",
            turn.text,
            " ".join(turn.warnings),
        )
    Console(highlight=False, markup=False).print(table)


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
