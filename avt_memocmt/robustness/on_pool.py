"""The conditions of robustness side by side, in processes of this machine or of a cluster.

A worker reads the corpora itself and writes its answers where `RobustnessRun` finds them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from avt_memocmt.inference.recognizer import Recognizer
from avt_memocmt.robustness.conditions import Trial, make_trials
from avt_memocmt.robustness.run import RobustnessRun


@dataclass(frozen=True)
class ConditionTask:
    """What a worker needs to know to answer under one condition.

    Attributes:
        load: loads a checkpoint by its name.
        checkpoint: its name or folder.
        sha256: of the checkpoint.
        data: as of `make_trials`.
        limit: as of `make_trials`.
        folder: for the answers.
    """

    load: Callable[[str], Recognizer]
    checkpoint: str
    sha256: str
    data: Path
    limit: int
    folder: Path

    def answer(self, trial: int, condition: int) -> None:
        """Have the answers under a condition of a trial, both by their positions, in the folder."""
        recognizer, trials = _loaded(self.load, self.checkpoint, self.data, self.limit)
        run = RobustnessRun(recognizer, self.sha256, self.folder)
        run.answers(trials[trial], trials[trial].conditions[condition])


def answer_in(
    pool: Executor,
    task: ConditionTask,
    trials: Sequence[Trial],
    progress: Callable[[int], None] = lambda count: None,
) -> None:
    """Answer under every condition of the trials.

    Args:
        pool: of processes.
        task: what they do.
        trials: that `make_trials` makes of the task's data.
        progress: called with the number of samples that were done since the last call.

    Raises:
        AvtError: a checkpoint or corpus is missing for a worker, or the folder cannot be written.
    """
    pending = {
        pool.submit(task.answer, i, j): len(trial.samples)
        for i, trial in enumerate(trials)
        for j in range(len(trial.conditions))
    }
    for done in as_completed(pending):
        done.result()
        progress(pending[done])


@lru_cache(maxsize=1)
def _loaded(
    load: Callable[[str], Recognizer], checkpoint: str, data: Path, limit: int
) -> tuple[Recognizer, list[Trial]]:
    recognizer = load(checkpoint)
    return recognizer, make_trials(data, recognizer.config, limit)
