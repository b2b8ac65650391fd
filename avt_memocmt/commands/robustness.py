"""`avt-memocmt robustness`: measure a checkpoint on damaged sound and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from avt_memocmt.commands.console import (
    Checkpoint,
    Scheduler,
    exit_after,
    print_lines,
    require_one_place,
    step_progress,
)


def robustness(
    data: Annotated[Path, typer.Option(help="Folder with ravdess/, ferplus/ and meld/.")],
    checkpoint: Checkpoint = "embedded",
    experiments: Annotated[
        Path, typer.Option(help="Folder for robustness.csv, robustness.md and robustness.png.")
    ] = Path("experiments"),
    limit: Annotated[
        int, typer.Option(min=1, help="Most clips or pictures taken of a corpus, by a seed.")
    ] = 1000,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes, each with a condition; this one alone unless given."),
    ] = None,
    scheduler: Scheduler = None,
) -> None:
    """Measure noise, blur, darkness, occlusion and missing modalities; a stopped run goes on."""
    from avt_memocmt.api import load_named
    from avt_memocmt.cluster.pool import open_pool
    from avt_memocmt.evaluation.provenance import checkpoint_sha256
    from avt_memocmt.files import writable_folder
    from avt_memocmt.models.checkpoint import checkpoint_folder
    from avt_memocmt.robustness.conditions import make_trials
    from avt_memocmt.robustness.on_pool import ConditionTask, answer_in
    from avt_memocmt.robustness.run import RobustnessRun
    from avt_memocmt.robustness.tables import SUMMARY_FILE, write_robustness

    require_one_place(workers, scheduler, "--workers")
    answers = writable_folder(experiments / "robustness")
    recognizer = load_named(checkpoint)
    trials = make_trials(data, recognizer.config, limit)
    total = sum(len(trial.samples) * len(trial.conditions) for trial in trials)
    sha256 = checkpoint_sha256(checkpoint_folder(checkpoint))
    with step_progress("recognising", total) as advance:
        run = RobustnessRun(recognizer, sha256, answers, advance)
        if workers or scheduler:
            task = ConditionTask(load_named, checkpoint, sha256, data, limit, answers)
            with open_pool(workers or 1, scheduler, [answers, data]) as pool:
                answer_in(pool, task, trials, advance)
            run = RobustnessRun(recognizer, sha256, answers)
        results = [(trial, run.measure(trial)) for trial in trials]
    write_robustness(results, checkpoint, experiments)
    print_lines((experiments / SUMMARY_FILE).read_text(encoding="utf-8"))
    exit_after(failure for trial in trials for failure in trial.failures)
