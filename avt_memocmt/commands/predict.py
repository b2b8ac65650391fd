"""`avt-memocmt predict`: media in, emotion timelines out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avt_memocmt.commands.console import (
    AudioTrack,
    Checkpoint,
    EngineOption,
    Faces,
    MaxSpeakers,
    MinSpeakers,
    Speakers,
    Transcript,
    counted_progress,
    log,
)
from avt_memocmt.commands.interrupts import exit_status
from avt_memocmt.commands.loading import load_recognizer
from avt_memocmt.commands.prediction_output import PredictionOutput
from avt_memocmt.data.baseline_scope import NamedScope
from avt_memocmt.errors import AvtError
from avt_memocmt.printable import path_text

if TYPE_CHECKING:
    from avt_memocmt.api import EmotionRecognizer
    from avt_memocmt.engines.names import EngineName
    from avt_memocmt.inference.results import MediaPrediction
    from avt_memocmt.inference.utterance_stream import Progress


def predict(
    media: Annotated[list[str], typer.Argument(help="Videos, recordings, pictures or folders.")],
    transcript: Transcript = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for predictions.json and report.html.")
    ] = None,
    formats: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="NAME,NAME,...",
            help="Further files for other programs, in --out: json, csv, frames, frames-parquet, "
            "vtt, srt, eaf, textgrid, rttm, audacity, label-studio, webannotation.",
        ),
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
    speakers: Speakers = "auto",
    min_speakers: MinSpeakers = None,
    max_speakers: MaxSpeakers = None,
    speaker_names: Annotated[
        Path | None, typer.Option(help="File with the names of speakers, lines such as S1 = Anna.")
    ] = None,
    speaker_baseline: Annotated[
        NamedScope,
        typer.Option(
            help="What an utterance is judged against, where its speaker is known: nothing, the "
            "earlier utterances of the speaker, or all others of the file, which is then read once "
            "more."
        ),
    ] = "past",
    faces: Faces = "speaking",
    engine: EngineOption = "torch",
    checkpoint: Checkpoint = "embedded",
) -> None:
    """Say what is felt, and when, in videos, recordings and pictures."""
    from avt_memocmt.inference.speaker_settings import speaker_settings
    from avt_memocmt.preprocessing.transcripts import load_transcript

    results = PredictionOutput(out, as_json, formats)
    cues = None if transcript is None else load_transcript(transcript)
    files, failures = _collect(media)
    if cues and len(files) > 1:
        raise AvtError("--transcript belongs to one input; give a single file with it.")
    if speaker_names and len(files) > 1:
        raise AvtError("--speaker-names belongs to one input; give a single file with it.")
    who = speaker_settings(speakers, min_speakers, max_speakers, speaker_names)

    def predict_one(recognizer: EmotionRecognizer, path: Path, show: Progress) -> MediaPrediction:
        return recognizer.predict(
            path,
            cues,
            transcribe=transcribe,
            min_confidence=min_confidence,
            speaker_baseline=speaker_baseline,
            speakers=speakers,
            min_speakers=min_speakers,
            max_speakers=max_speakers,
            speaker_names=who.names,
            audio_track=audio_track,
            faces=faces,
            sampled_faces="judged" if results.needs_faces else False,
            progress=show,
        )

    predictions = _predictions(files, failures, checkpoint, engine, predict_one)
    status = 0
    try:
        for result in predictions:
            results.take(result)
    except KeyboardInterrupt as interrupt:
        status = exit_status(interrupt)
    if results.results or not status:  # else what an earlier run wrote stays
        results.finish(failures)
    for reason in (*(reason for _, reason in failures), *results.problems):
        log.print(f"failed: {reason}", style="red")
    if status:
        done = len(results.results) + len(failures)
        log.print(f"interrupted after {done} of {len(files)} inputs", style="red")
    raise typer.Exit(status or int(bool(failures or results.problems)))


def _collect(media: list[str]) -> tuple[list[Path], list[tuple[str, str]]]:
    """The files of all arguments, and the arguments that lead to none, each with the reason."""
    from avt_memocmt.media.discovery import find_media

    files: list[Path] = []
    failures = []
    for argument in media:
        try:
            files += find_media(argument)
        except AvtError as error:
            failures.append((path_text(argument), str(error)))
    return files, failures


def _predictions(
    files: list[Path],
    failures: list[tuple[str, str]],
    checkpoint: str,
    engine: EngineName,
    predict_one: Callable[[EmotionRecognizer, Path, Progress], MediaPrediction],
) -> Iterator[MediaPrediction]:
    """Predict file by file; one that cannot be predicted becomes a failure."""
    if not files:
        return
    recognizer = load_recognizer(checkpoint, engine)
    for path in files:
        try:
            with counted_progress(str(path)) as advance:
                result = predict_one(recognizer, path, advance)
        except AvtError as error:
            failures.append((path_text(str(path)), str(error)))
        except Exception as error:  # one odd file must not end a run over thousands
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            failures.append((path_text(str(path)), f"{path}: unexpected {reason}"))
        else:
            yield result
