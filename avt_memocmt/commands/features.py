"""The encoders, each usable alone: `avt-memocmt features audio | visual | text`."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avt_memocmt.commands.console import Checkpoint, log
from avt_memocmt.errors import AvtError
from avt_memocmt.wording import counted

if TYPE_CHECKING:
    from avt_memocmt.config import Config
    from avt_memocmt.features.base import Tokens

app = typer.Typer(help="Encode one modality of one file alone.", no_args_is_help=True)

Media = Annotated[Path, typer.Argument(help="A media file.")]
Out = Annotated[
    Path,
    typer.Argument(
        help="The .npz to write: values [tokens, width] and spans [tokens, 2], start and end of "
        "each token in seconds."
    ),
]
Encoder = Annotated[
    str | None,
    typer.Option(help="A hub id, a folder or a packaged encoder; the checkpoint's unless given."),
]


@app.command()
def audio(
    media: Media, out: Out, encoder: Encoder = None, checkpoint: Checkpoint = "embedded"
) -> None:
    """The sound of a file to about 50 tokens a second."""
    from avt_memocmt.features.extract_audio_features import make_audio_encoder
    from avt_memocmt.preprocessing.audio_preprocess import load_audio

    _, config = _settings(checkpoint, "audio", encoder)
    samples = load_audio(media)
    (tokens,) = make_audio_encoder(config.audio.encoder).encode([samples])
    _write(out, tokens)


@app.command()
def visual(
    media: Media, out: Out, encoder: Encoder = None, checkpoint: Checkpoint = "embedded"
) -> None:
    """The followed face of a video, or the largest of a picture, to a token per sampled face."""
    from avt_memocmt.features.extract_visual_features import make_visual_encoder
    from avt_memocmt.preprocessing.video_preprocess_mtcnn import followed_faces

    folder, config = _settings(checkpoint, "visual", encoder)
    settings = config.visual
    faces = list(followed_faces(media, settings.detector, settings.frames_per_second))
    if not faces:
        raise AvtError(f"no face was found in {media}; give media that show one.")
    network = make_visual_encoder(settings.encoder, folder)
    (tokens,) = network.encode([faces], [0.0], 1 / settings.frames_per_second)
    _write(out, tokens)


@app.command()
def text(
    source: Annotated[str, typer.Argument(help="Text, or a .srt, .vtt or .txt file.")],
    out: Out,
    encoder: Encoder = None,
    checkpoint: Checkpoint = "embedded",
) -> None:
    """Words to a token per word piece; without a recording, at the pace of usual speech."""
    from avt_memocmt.data.manifest import nominal_seconds
    from avt_memocmt.features.extract_text_features import make_text_encoder
    from avt_memocmt.features.text_encoder import TextInput
    from avt_memocmt.preprocessing.text_preprocess import clean_text
    from avt_memocmt.preprocessing.transcripts import load_transcript

    folder, config = _settings(checkpoint, "text", encoder)
    said = clean_text(" ".join(cue.text for cue in load_transcript(source)))
    item = TextInput(said, (), nominal_seconds(said))
    (tokens,) = make_text_encoder(config.text, folder).encode([item])
    if not len(tokens):
        raise AvtError("there are no words that the encoder knows; give a text in its language.")
    _write(out, tokens)


def _settings(checkpoint: str, modality: str, encoder: str | None) -> tuple[Path, Config]:
    """The folder and the settings of a checkpoint, with another encoder if one is named."""
    from avt_memocmt.config_file import load_config
    from avt_memocmt.models.checkpoint import CONFIG_FILE, checkpoint_folder

    folder = checkpoint_folder(checkpoint)
    changes = []
    if encoder is not None:
        changes = [f"{modality}.encoder.name={json.dumps(encoder)}"]
        changes += [f"{modality}.encoder.revision=null", "text.fine_tuned=false"]
    return folder, load_config(folder / CONFIG_FILE, changes)


def _write(path: Path, tokens: Tokens) -> None:
    import numpy as np

    from avt_memocmt.files import write_atomically

    buffer = io.BytesIO()
    np.savez_compressed(buffer, values=tokens.values, spans=tokens.spans)
    write_atomically(path, buffer.getvalue())
    count, width = tokens.values.shape
    log.print(f"{counted(count, 'token')} of {width} numbers in {path}")
