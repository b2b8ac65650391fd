"""`avt-memocmt train`: a network on a corpus, from raw clips or from stored features."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from avt_memocmt.commands.console import log
from avt_memocmt.commands.settings import (
    DEFAULT_CONFIG,
    ConfigFile,
    Encoders,
    Overrides,
    Preset,
    require_training_tools,
    resolve_config,
)


def train(
    features: Annotated[
        list[Path] | None,
        typer.Option(help="A feature store; repeated, they are joined by utterance."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The checkpoint folder; paths.checkpoint unless given.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the model in tables of results.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of every random choice.")] = None,
    encoders_checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="Checkpoint whose own encoders made the features, and which are copied; the "
            "shipped one unless given."
        ),
    ] = None,
    config: ConfigFile = DEFAULT_CONFIG,
    preset: Preset = None,
    encoders: Encoders = None,
    overrides: Overrides = None,
) -> None:
    """Train on the train split, select on dev. Without --features, MELD in paths.meld is read:
    its clips are indexed and their features extracted first. Resumes after a stop.
    """
    require_training_tools()
    from avt_memocmt.commands.meld_features import meld_store
    from avt_memocmt.data.feature_store import FeatureStore
    from avt_memocmt.inference.extraction import default_checkpoint
    from avt_memocmt.training.dialogues import train_dialogues

    changes = [*(overrides or ()), *([f"training.seed={seed}"] if seed is not None else [])]
    settings = resolve_config(config, preset, encoders, changes)
    if features:
        stores = [FeatureStore.open(folder) for folder in features]
    else:
        stores = [meld_store(settings)]
    folder = train_dialogues(
        settings,
        stores,
        out or settings.paths.checkpoint,
        name=name or settings.model.kind,
        encoders=encoders_checkpoint or default_checkpoint(settings),
    )
    log.print(f"the checkpoint is in {folder}", markup=False)
