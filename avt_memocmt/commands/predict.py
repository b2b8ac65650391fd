"""`avt-memocmt predict`: media in, emotion timelines out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from avt_memocmt.commands.console import (
    AudioTrack,
    Checkpoint,
    EngineOption,
    Faces,
    MaxSpeakers,
    MinSpeakers,
    Scheduler,
    Speakers,
    Transcript,
    counted_progress,
    log,
)
from avt_memocmt.commands.interrupts import exit_status
from avt_memocmt.commands.loading import load_recognizer
from avt_memocmt.commands.overlay import Films
from avt_memocmt.commands.predict_many import predict_many, require_no_words, require_out
from avt_memocmt.commands.prediction_output import PredictionOutput
from avt_memocmt.data.baseline_scope import NamedScope
from avt_memocmt.errors import AvtError, failure_reason
from avt_memocmt.printable import path_text

if TYPE_CHECKING:
    from avt_memocmt.api import EmotionRecognizer
    from avt_memocmt.batch.inputs import Input
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
    overlay: Annotated[
        bool,
        typer.Option("--overlay", help="Also write a film with the answer on it, beside the rest."),
    ] = False,
    blur_faces: Annotated[
        bool,
        typer.Option("--blur-faces", help="Blur the faces that are found, in film and report."),
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1, help="Processes that predict files side by side, each into a result of its own."
        ),
    ] = None,
    scheduler: Scheduler = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="A result for each file; those that are there already stay."),
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on looking for new files in the folders.")
    ] = False,
    engine: EngineOption = "torch",
    checkpoint: Checkpoint = "embedded",
) -> None:
    """Say what is felt, and when, in videos, recordings and pictures."""
    from avt_memocmt.batch.inputs import Inputs
    from avt_memocmt.inference.speaker_settings import speaker_settings
    from avt_memocmt.preprocessing.transcripts import load_transcript

    who = speaker_settings(speakers, min_speakers, max_speakers, speaker_names)
    arguments: dict[str, Any] = {
        "transcribe": transcribe,
        "min_confidence": min_confidence,
        "speaker_baseline": speaker_baseline,
        "speakers": speakers,
        "min_speakers": min_speakers,
        "max_speakers": max_speakers,
        "audio_track": audio_track,
        "faces": faces,
    }
    if jobs or scheduler or resume or watch:
        from avt_memocmt.batch.predictor import Predictor
        from avt_memocmt.exports.formats import format_names

        require_no_words(transcript, speaker_names)
        folder = require_out(out)
        names = () if formats is None else format_names(formats)
        predictor = Predictor(folder, checkpoint, engine, arguments, names, overlay, blur_faces)
        predict_many(
            media,
            predictor,
            jobs=jobs,
            scheduler=scheduler,
            resume=resume,
            watch=watch,
            as_json=as_json,
        )
    films = Films(blur_faces, audio_track) if overlay else None
    results = PredictionOutput(out, as_json, formats, films, blur_faces)
    cues = None if transcript is None else load_transcript(transcript)
    files, failures = Inputs(media).find()
    if cues and len(files) > 1:
        raise AvtError("--transcript belongs to one input; give a single file with it.")
    if speaker_names and len(files) > 1:
        raise AvtError("--speaker-names belongs to one input; give a single file with it.")

    def predict_one(recognizer: EmotionRecognizer, path: Path, show: Progress) -> MediaPrediction:
        return recognizer.predict(
            path,
            cues,
            speaker_names=who.names,
            **arguments,
            sampled_faces=results.sampled_faces,
            progress=show,
        )

    predictions = _predictions(files, failures, checkpoint, engine, predict_one)
    status = 0
    try:
        for item, result in predictions:
            results.take(result, item.media)
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


def _predictions(
    files: list[Input],
    failures: list[tuple[str, str]],
    checkpoint: str,
    engine: EngineName,
    predict_one: Callable[[EmotionRecognizer, Path, Progress], MediaPrediction],
) -> Iterator[tuple[Input, MediaPrediction]]:
    """Predict file by file; one that cannot be predicted becomes a failure."""
    if not files:
        return
    recognizer = load_recognizer(checkpoint, engine)
    for item in files:
        path = item.media
        try:
            with counted_progress(str(path)) as advance:
                result = predict_one(recognizer, path, advance)
        except AvtError as error:
            failures.append((path_text(str(path)), str(error)))
        except Exception as error:  # one odd file must not end a run over thousands
            unexpected = f"{path}: unexpected {failure_reason(error)}"
            failures.append((path_text(str(path)), unexpected))
        else:
            yield item, result
