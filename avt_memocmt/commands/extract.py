"""`avt-memocmt extract`: the clips of a corpus to a feature store."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from avt_memocmt.commands.console import (
    Scheduler,
    counted_progress,
    exit_after,
    log,
    require_one_place,
)
from avt_memocmt.commands.settings import (
    DEFAULT_CONFIG,
    ConfigFile,
    Encoders,
    Overrides,
    Preset,
    resolve_config,
)
from avt_memocmt.config_file import load_config
from avt_memocmt.data.store_folder import store_folder
from avt_memocmt.errors import AvtError


def extract(
    source: Annotated[
        Path, typer.Argument(help="An index (.parquet), a manifest (.csv) or a folder of media.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            metavar="FOLDER|URL", parser=store_folder, help="Of the feature store; or s3://, gs://."
        ),
    ],
    modalities: Annotated[
        str | None, typer.Option(help="As audio,visual,text; those of the settings unless given.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Only this split of the source.")] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(help="Use the encoders and settings of this checkpoint folder."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; half the processors unless given.")
    ] = None,
    scheduler: Scheduler = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try clips again that failed before.")
    ] = False,
    config: ConfigFile = DEFAULT_CONFIG,
    preset: Preset = None,
    encoders: Encoders = None,
    overrides: Overrides = None,
) -> None:
    """Extract the tokens of every clip; a stopped run resumes, clips that fail go to failed.csv."""
    from avt_memocmt.cluster.pool import open_pool
    from avt_memocmt.extraction.clip import default_checkpoint
    from avt_memocmt.extraction.plan import ExtractionPlan, read_source, source_labels
    from avt_memocmt.extraction.run import Extraction
    from avt_memocmt.models.checkpoint import CONFIG_FILE, checkpoint_folder
    from avt_memocmt.workers import default_workers

    require_one_place(workers, scheduler, "--workers")
    changes = [*(overrides or ()), *([f"model.modalities=[{modalities}]"] if modalities else [])]
    folder = checkpoint_folder(checkpoint) if checkpoint else None
    if folder is None:
        settings = resolve_config(config, preset, encoders, changes)
    elif preset is None and encoders is None:
        settings = load_config(folder / CONFIG_FILE, changes)
    else:
        raise AvtError("a checkpoint brings its encoders; leave out --preset and --encoders.")
    labels = source_labels(source)
    plan = ExtractionPlan.of(read_source(source, split, labels), labels)
    extraction = Extraction(plan, settings, folder or default_checkpoint(settings), out)
    began = time.monotonic()
    media = [Path(clip.record.path) for clip in plan.clips if clip.record.path]
    seen = [out, *[path for path in media if path.is_file()][:1]]
    with (
        counted_progress("extracting") as show,
        open_pool(workers or default_workers(), scheduler, seen) as pool,
    ):
        failures = extraction.run_in(pool, retry_failed, show)
    seconds = time.monotonic() - began
    count = len(plan.clips) - len(failures)
    log.print(f"{count} of {len(plan.clips)} utterances are in {out} ({seconds:.0f} s)")
    exit_after((f"{failed.key} {failed.path}".strip(), failed.reason) for failed in failures)
