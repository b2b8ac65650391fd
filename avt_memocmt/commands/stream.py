"""`avt-memocmt stream`: emotions while they happen, as JSON Lines."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avt_memocmt.commands.console import (
    AudioTrack,
    Checkpoint,
    EngineOption,
    Faces,
    Speakers,
    log,
)
from avt_memocmt.commands.line_output import LineOutput
from avt_memocmt.commands.loading import load_recognizer

if TYPE_CHECKING:
    from avt_memocmt.inference.live import LiveStream


def stream(
    source: Annotated[
        str,
        typer.Argument(
            help="camera, microphone, camera+microphone (camera:1 names one), a URL such as "
            "rtsp://host/path, or a file or the address of one."
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="Also write the lines to this file.")] = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="Read a file as fast as possible, not in real time.")
    ] = False,
    hop: Annotated[
        float, typer.Option(min=0, help="Seconds between provisional emotions; 0 = none.")
    ] = 0.5,
    transcribe: Annotated[
        bool, typer.Option(help="Let the packaged recogniser listen for the words.")
    ] = True,
    captions: Annotated[
        str | None, typer.Option(help="A .srt or .vtt of a file: its utterances and their words.")
    ] = None,
    audio_track: AudioTrack = None,
    speakers: Speakers = "auto",
    faces: Faces = "speaking",
    seconds: Annotated[
        float | None, typer.Option(min=0.1, help="Stop after this time; Ctrl-C stops at any time.")
    ] = None,
    engine: EngineOption = "torch",
    checkpoint: Checkpoint = "embedded",
) -> None:
    """Say what is felt while it happens: a camera, a microphone, a network stream, a file."""
    from avt_memocmt.inference.live import LiveStream
    from avt_memocmt.inference.speaker_settings import speaker_settings
    from avt_memocmt.preprocessing.transcripts import load_transcript

    with LineOutput(out) as lines:
        running = LiveStream(
            load_recognizer(checkpoint, engine),
            source,
            hop=hop,
            transcribe=transcribe,
            as_fast_as_possible=fast,
            captions=None if captions is None else load_transcript(captions),
            audio_track=audio_track,
            speakers=speaker_settings(speakers),
            faces=faces,
            warn=log.print,
        )
        _stop_on_interrupt(running)
        for event in running.events(seconds):
            lines.write(event.to_json())
    frames, sound = running.backlog.dropped_frames, running.backlog.dropped_sound
    if frames or sound:
        log.print(f"dropped {frames} pictures and {sound:.1f} s of sound to keep up")
    raise typer.Exit(1 if lines.failed else 0)


def _stop_on_interrupt(running: LiveStream) -> None:
    """Let the first Ctrl-C end the stream with everything written, and a second one the program.

    So does SIGTERM, by which services and containers are stopped.
    """

    def stop(number: int, frame: object) -> None:
        running.stop()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
