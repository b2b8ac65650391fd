"""The methods of explanation, each alone: `avt-memocmt explain-by attention | grad-cam | ...`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from avt_memocmt.commands.console import Checkpoint, Transcript, log
from avt_memocmt.commands.explain import Utterances, explained_media, refuse_missing
from avt_memocmt.files import write_atomically

app = typer.Typer(help="Explain decisions by one method alone.", no_args_is_help=True)

Media = Annotated[Path, typer.Argument(help="One video, recording or picture.")]


@app.command()
def attention(
    media: Media,
    out: Annotated[Path, typer.Argument(help="Folder for the maps, PNG and SVG.")],
    transcript: Transcript = None,
    utterances: Utterances = None,
    checkpoint: Checkpoint = "embedded",
) -> None:
    """Draw who read from whom: the cross-modal attention of each utterance."""
    found, _ = explained_media(media, transcript, utterances, checkpoint, out)
    from avt_memocmt.report.explanation_folder import write_attention_map

    for one in found.utterances:
        write_attention_map(one, out)
    log.print(f"attention maps are in {out}")
    refuse_missing(found, media, utterances)


@app.command()
def grad_cam(
    media: Media,
    out: Annotated[Path, typer.Argument(help="Folder for the faces, PNG; MP4 too of a film.")],
    transcript: Transcript = None,
    utterances: Utterances = None,
    checkpoint: Checkpoint = "embedded",
) -> None:
    """Draw on each face where it speaks for the emotion."""
    found, frames_per_second = explained_media(media, transcript, utterances, checkpoint, out)
    from avt_memocmt.report.explanation_folder import write_faces

    write_faces(found, media, frames_per_second, out)
    log.print(f"faces are in {out}")
    refuse_missing(found, media, utterances)


@app.command()
def integrated_gradients(
    media: Media,
    out: Annotated[Path, typer.Argument(help="The JSON file to write.")],
    transcript: Transcript = None,
    utterances: Utterances = None,
    checkpoint: Checkpoint = "embedded",
) -> None:
    """Write how much each word and stretch of sound speaks for the emotion."""
    found, _ = explained_media(media, transcript, utterances, checkpoint, out.parent)
    from avt_memocmt.report.explanation_json import attributions_json

    write_atomically(out, json.dumps(attributions_json(found, ("audio", "text"))).encode())
    log.print(f"words and sound are in {out}")
    refuse_missing(found, media, utterances)
