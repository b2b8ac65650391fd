"""`avt-memocmt predict`: media in, emotion timelines out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from avt_memocmt.commands.console import (
    AudioTrack,
    Checkpoint,
    EngineOption,
    Transcript,
    counted_progress,
    log,
    output,
)
from avt_memocmt.commands.loading import load_recognizer
from avt_memocmt.data.baseline_scope import NamedScope
from avt_memocmt.errors import AvtError
from avt_memocmt.files import writable_folder, write_atomically
from avt_memocmt.wording import WARNINGS

if TYPE_CHECKING:
    from avt_memocmt.engines.names import EngineName
    from avt_memocmt.inference.results import MediaPrediction
    from avt_memocmt.preprocessing.transcripts import Cue


def predict(
    media: Annotated[list[str], typer.Argument(help="Videos, recordings, pictures or folders.")],
    transcript: Transcript = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for predictions.json and report.html.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="JSON Lines on stdout, one object per input.")
    ] = False,
    transcribe: Annotated[
        bool, typer.Option(help="Let the packaged recogniser listen where no transcript is given.")
    ] = True,
    min_confidence: Annotated[
        float,
        typer.Option(min=0, max=1, help='An emotion less probable than this is "uncertain".'),
    ] = 0.0,
    audio_track: AudioTrack = None,
    speaker_baseline: Annotated[
        NamedScope,
        typer.Option(
            help="What an utterance is judged against, where captions name its speaker: nothing, "
            "the earlier utterances of the speaker, or all others of the file, which is then read "
            "twice."
        ),
    ] = "past",
    engine: EngineOption = "torch",
    checkpoint: Checkpoint = "embedded",
) -> None:
    """Say what is felt, and when, in videos, recordings and pictures."""
    from avt_memocmt.inference.results import to_json
    from avt_memocmt.preprocessing.transcripts import load_transcript
    from avt_memocmt.report.prediction_page import write_report

    if out is not None:
        writable_folder(out)
    cues = load_transcript(transcript) if transcript else None
    files, failures = _collect(media)
    if cues and len(files) > 1:
        raise AvtError("--transcript belongs to one input; give a single file with it.")
    results: list[MediaPrediction] = []
    predictions = _predictions(
        files,
        failures,
        checkpoint,
        engine,
        cues,
        transcribe,
        min_confidence,
        speaker_baseline,
        audio_track,
    )
    for result in predictions:
        results.append(result)
        if as_json:
            print(json.dumps(to_json(result), ensure_ascii=False), flush=True)
        else:
            _print_timeline(result)
    if out is not None:
        text = json.dumps([to_json(result) for result in results], indent=2, ensure_ascii=False)
        write_atomically(out / "predictions.json", text.encode())
        write_report(results, failures, out / "report.html")
        log.print(f"wrote {out / 'predictions.json'} and {out / 'report.html'}")
    for _, reason in failures:
        log.print(f"failed: {reason}", style="red")
    raise typer.Exit(1 if failures else 0)


def _collect(media: list[str]) -> tuple[list[Path], list[tuple[str, str]]]:
    """The files of all arguments, and the arguments that lead to none, each with the reason."""
    from avt_memocmt.media.discovery import find_media

    files: list[Path] = []
    failures = []
    for argument in media:
        try:
            files += find_media(argument)
        except AvtError as error:
            failures.append((argument, str(error)))
    return files, failures


def _predictions(
    files: list[Path],
    failures: list[tuple[str, str]],
    checkpoint: str,
    engine: EngineName,
    cues: list[Cue] | None,
    transcribe: bool,
    min_confidence: float,
    speaker_baseline: NamedScope,
    audio_track: int | None,
) -> Iterator[MediaPrediction]:
    """Predict file by file; one that cannot be predicted becomes a failure."""
    if not files:
        return
    recognizer = load_recognizer(checkpoint, engine)
    for path in files:
        try:
            with counted_progress(str(path)) as advance:
                result = recognizer.predict(
                    path,
                    cues,
                    transcribe=transcribe,
                    min_confidence=min_confidence,
                    speaker_baseline=speaker_baseline,
                    audio_track=audio_track,
                    progress=advance,
                )
        except AvtError as error:
            failures.append((str(path), str(error)))
        else:
            yield result


def _print_timeline(result: MediaPrediction) -> None:
    headings = ("start", "end", "emotion", "confidence", "text", "warnings")
    table = Table(*headings, title=result.media, title_justify="left", box=None)
    for turn in result.utterances:
        emotion = turn.emotion
        if emotion != turn.likeliest:
            emotion += f" ({turn.likeliest})"
        start, end, confidence = (f"{n:.2f}" for n in (turn.start, turn.end, turn.confidence))
        table.add_row(start, end, emotion, confidence, turn.text, " ".join(turn.warnings))
    output.print(table)
    for name in result.warnings:
        output.print(f" {name}: {WARNINGS.get(name, '')}", soft_wrap=True)
