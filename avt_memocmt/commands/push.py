"""`avt-memocmt push`: a checkpoint to the Hugging Face hub."""

from __future__ import annotations

from typing import Annotated

import typer

from avt_memocmt.commands.console import Checkpoint, log


def push(
    repository: Annotated[str, typer.Argument(help="Repository of the hub, as user/name.")],
    checkpoint: Checkpoint = "embedded",
    private: Annotated[
        bool, typer.Option("--private", help="A repository that is made is for its owner alone.")
    ] = False,
) -> None:
    """Put a checkpoint on the Hugging Face hub, with a model card; log in by: hf auth login."""
    from avt_memocmt.models.checkpoint import checkpoint_folder
    from avt_memocmt.models.hub import push_checkpoint

    commit = push_checkpoint(checkpoint_folder(checkpoint), repository, private=private)
    log.print(f"use it with: avt-memocmt predict --checkpoint hf://{repository}@{commit} ...")
