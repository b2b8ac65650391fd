"""The preprocessing modules, each usable alone: `avt-memocmt preprocess audio | vad | ...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from avt_memocmt.commands.console import print_json, print_lines

app = typer.Typer(help="Run one preprocessing module alone.", no_args_is_help=True)

Media = Annotated[Path, typer.Argument(help="A media file.")]


@app.command()
def audio(
    media: Media,
    wav: Annotated[Path, typer.Argument(help="The WAV file to write.")],
    trim: Annotated[bool, typer.Option(help="Drop leading and trailing silence.")] = True,
    threshold_db: Annotated[
        float, typer.Option(help="Level below the peak that counts as silence, dB.")
    ] = 40.0,
) -> None:
    """Any container and channel layout to mono 16 kHz WAV, silence trimmed."""
    from avt_memocmt.preprocessing.audio_preprocess import load_audio, save_wav, trim_silence

    samples = load_audio(media)
    if trim:
        samples, _ = trim_silence(samples, threshold_db)
    save_wav(wav, samples)


@app.command()
def vad(media: Media) -> None:
    """Cut sound into utterances by voice activity; prints JSON."""
    from avt_memocmt.config import SegmentationConfig
    from avt_memocmt.preprocessing.audio_preprocess import load_audio
    from avt_memocmt.preprocessing.audio_preprocess_vad import speech_segments

    segments, warnings = speech_segments(load_audio(media), SegmentationConfig())
    spans = [
        {"start": round(s.start, 3), "end": round(s.end, 3)}
        for s in segments
        if s.is_speech or warnings
    ]
    print_json({"utterances": spans, "warnings": warnings})


@app.command()
def align(
    media: Media,
    text: Annotated[str, typer.Argument(help="The words that are spoken.")],
    model: Annotated[
        str, typer.Option(help="embedded, or a Wav2Vec2-CTC model (hub id or folder).")
    ] = "embedded",
) -> None:
    """Times of each word by CTC forced alignment; prints JSON."""
    from avt_memocmt.preprocessing.audio_forced_alignment import make_aligner
    from avt_memocmt.preprocessing.audio_preprocess import load_audio
    from avt_memocmt.preprocessing.text_preprocess import clean_text

    words = make_aligner(model).align(load_audio(media), clean_text(text))
    print_json(
        [
            {
                "word": word.word,
                "start": round(word.start, 3),
                "end": round(word.end, 3),
                "score": round(word.score, 3),
            }
            for word in words
        ]
    )


@app.command()
def video(
    media: Media,
    out: Annotated[Path, typer.Argument(help="Folder for the pictures.")],
    fps: Annotated[float, typer.Option(help="Pictures a second.")] = 4.0,
) -> None:
    """Sample frames as JPEG files named by their time in milliseconds."""
    from avt_memocmt.preprocessing.video_preprocess import extract_frames

    print_lines(f"{len(extract_frames(media, out, fps))} pictures in {out}")


@app.command()
def faces(
    media: Media,
    out: Annotated[Path, typer.Argument(help="Folder for the aligned faces.")],
    detector: Annotated[str, typer.Option(help="mtcnn or yunet.")] = "mtcnn",
) -> None:
    """Follow the face and write aligned crops, with boxes and landmarks as JSON."""
    from avt_memocmt.preprocessing.video_preprocess_mtcnn import extract_faces

    print_lines(f"{len(extract_faces(media, out, detector))} faces in {out}")


@app.command()
def text(
    source: Annotated[str, typer.Argument(help="Text, or a .srt, .vtt or .txt file.")],
    lowercase: Annotated[bool, typer.Option(help="Lower-case the result.")] = False,
) -> None:
    """Clean text or a transcript, a line per cue."""
    from avt_memocmt.preprocessing.text_preprocess import clean_text
    from avt_memocmt.preprocessing.transcripts import load_transcript

    for cue in load_transcript(source):
        print_lines(clean_text(cue.text, lowercase=lowercase))
