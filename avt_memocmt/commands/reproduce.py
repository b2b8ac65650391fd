"""`avt-memocmt reproduce`: the whole table of results, from an index and stored features."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from avt_memocmt.commands.console import Scheduler, log, require_one_place
from avt_memocmt.commands.settings import require_training_tools
from avt_memocmt.data.store_folder import store_folder


def reproduce(
    index: Annotated[Path, typer.Option(help="The corpus's index.parquet, from prepare.")],
    features: Annotated[
        list[Path],
        typer.Option(
            metavar="FOLDER|URL",
            parser=store_folder,
            help="Stores with sound and face, from import-pack or extract. If one has words too, "
            "no text encoder is tuned.",
        ),
    ],
    encoders_checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="Checkpoint whose text encoder made the words of the stores; the shipped one "
            "unless given."
        ),
    ] = None,
    work: Annotated[
        Path, typer.Option(help="Folder for every checkpoint and the text tokens.")
    ] = Path("reproduced/meld"),
    experiments: Annotated[
        Path, typer.Option(help="Folder for results.csv, results.md and confusion_matrix.png.")
    ] = Path("experiments"),
    recipe: Annotated[
        Path | None, typer.Option(help="The rows and their settings; MELD's unless given.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes of one thread that train side by side; one run after another, with all "
            "threads, unless given.",
        ),
    ] = None,
    scheduler: Scheduler = None,
) -> None:
    """Train and measure every row of the table on every seed. Resumes after a stop."""
    require_one_place(workers, scheduler, "--workers")
    require_training_tools()
    from avt_memocmt.cluster.pool import open_pool
    from avt_memocmt.data.feature_store import FeatureStore
    from avt_memocmt.data.index import read_index
    from avt_memocmt.pretrained import CHECKPOINTS
    from avt_memocmt.reproduction.plan import MELD_RECIPE, load_plan
    from avt_memocmt.reproduction.run import Reproduction

    reproduction = Reproduction(
        load_plan(recipe or MELD_RECIPE),
        read_index(index),
        [FeatureStore.open(folder) for folder in features],
        work,
        experiments,
        encoders_checkpoint or CHECKPOINTS / "embedded",
    )
    jobs = [job.name for job in reproduction.jobs()]
    seen = [work, *features]
    with (
        open_pool(workers or 1, scheduler, seen) if workers or scheduler else nullcontext() as pool
    ):
        reproduction.run(
            lambda name: log.print(f"{jobs.index(name) + 1} of {len(jobs)} done: {name}"), pool
        )
    log.print(f"the table is in {experiments / 'results.md'}")
