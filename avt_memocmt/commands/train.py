"""`avt-memocmt train`: a network on a corpus, from raw clips or from stored features."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avt_memocmt.commands.console import counted_progress, log, log_failure
from avt_memocmt.commands.settings import (
    DEFAULT_CONFIG,
    ConfigFile,
    Encoders,
    Overrides,
    Preset,
    require_training_tools,
    resolve_config,
)
from avt_memocmt.config import Config
from avt_memocmt.data.store_folder import store_folder
from avt_memocmt.errors import AvtError

if TYPE_CHECKING:
    from avt_memocmt.data.feature_store import FeatureStore


def train(
    features: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER|URL",
            parser=store_folder,
            help="A feature store; repeated, they are joined by utterance.",
        ),
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
    from avt_memocmt.data.feature_store import FeatureStore
    from avt_memocmt.extraction.clip import default_checkpoint
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
    log.print(f"the checkpoint is in {folder}")


def meld_store(config: Config) -> FeatureStore:
    """Index `paths.meld` and extract what `paths.features` lacks.

    Raises:
        AvtError: the release is not there, or the store was made by another extractor.
    """
    from avt_memocmt.data.feature_store import FeatureStore
    from avt_memocmt.data.meld.index import meld_records
    from avt_memocmt.extraction.clip import default_checkpoint
    from avt_memocmt.extraction.plan import ExtractionPlan
    from avt_memocmt.extraction.run import Extraction
    from avt_memocmt.workers import default_workers

    if not config.paths.meld.is_dir():
        raise AvtError(
            f"{config.paths.meld} is missing; put the MELD release there, name it with "
            "--set paths.meld=FOLDER, or give extracted features with --features."
        )
    plan = ExtractionPlan.of(meld_records(config.paths.meld))
    extraction = Extraction(plan, config, default_checkpoint(config), config.paths.features)
    with counted_progress("extracting") as show:
        failures = extraction.run(default_workers(), progress=show)
    for failure in failures:
        log_failure(failure.key, failure.reason)
    return FeatureStore.open(config.paths.features)
