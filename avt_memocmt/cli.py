"""The command line: every command by its name."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from avt_memocmt.commands import explain_by, features, preprocess
from avt_memocmt.commands.bench import bench
from avt_memocmt.commands.check_explanations import check_explanations
from avt_memocmt.commands.console import log, prepare_output, show_library_log
from avt_memocmt.commands.diarize import diarize, evaluate_speakers
from avt_memocmt.commands.doctor import doctor
from avt_memocmt.commands.evaluate import (
    evaluate,
    evaluate_features,
    evaluate_manifest,
    evaluate_meld,
)
from avt_memocmt.commands.explain import explain
from avt_memocmt.commands.export import export
from avt_memocmt.commands.extract import extract
from avt_memocmt.commands.import_pack import import_pack
from avt_memocmt.commands.interrupts import interrupted_by_signals
from avt_memocmt.commands.make_weights import make_weights
from avt_memocmt.commands.predict import predict
from avt_memocmt.commands.prepare import prepare
from avt_memocmt.commands.push import push
from avt_memocmt.commands.reproduce import reproduce
from avt_memocmt.commands.robustness import robustness
from avt_memocmt.commands.serve import serve
from avt_memocmt.commands.stream import stream
from avt_memocmt.commands.train import train
from avt_memocmt.errors import AvtError
from avt_memocmt.version import __version__

app = typer.Typer(
    name="avt-memocmt",
    help="Emotion recognition in conversation from audio, video and text.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
COMMANDS = (
    predict,
    stream,
    serve,
    explain,
    check_explanations,
    prepare,
    extract,
    import_pack,
    train,
    evaluate,
    evaluate_manifest,
    evaluate_features,
    evaluate_meld,
    reproduce,
    robustness,
    diarize,
    evaluate_speakers,
    export,
    push,
    bench,
    make_weights,
    doctor,
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(preprocess.app, name="preprocess")
app.add_typer(features.app, name="features")
app.add_typer(explain_by.app, name="explain-by")


def main() -> None:
    """Run the command line; a user's mistake is one sentence on stderr and status 1."""
    prepare_output()
    show_library_log()
    try:
        with interrupted_by_signals():
            app(prog_name=app.info.name)
    except AvtError as error:
        log.print(f"error: {error}", style="red")
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
