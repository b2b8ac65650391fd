"""The runs of a table, which build on one another; as many at once as a pool takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import TypeVar

from avt_memocmt.evaluation.evaluation import Evaluation
from avt_memocmt.evaluation.provenance import Provenance
from avt_memocmt.reproduction.plan import Row

Found = TypeVar("Found")


@dataclass(frozen=True)
class Job:
    """One run of one row."""

    row: Row
    seed: int

    @property
    def name(self) -> str:
        """Name in the progress shown, as "without-audio-seed2"."""
        return _file_name(self.row.name, self.seed)

    @property
    def checkpoint(self) -> str:
        """Name of the checkpoint's folder; a row that trains nothing uses that of another row."""
        return _file_name(self.row.of or self.row.name, self.seed)


@dataclass(frozen=True)
class Result:
    """What a job found, and the seconds that it took."""

    evaluation: Evaluation
    provenance: Provenance
    seconds: float = 0.0


def done_in_order(
    needs: Mapping[str, Set[str]], submit: Callable[[str], Future[Found]]
) -> Iterator[tuple[str, Found]]:
    """Submit each job as soon as what it builds on is done; yield the results in the given order.

    Args:
        needs: names of all jobs in order, each with the names of those that it builds on, which
            come before it.
        submit: begins with a job.
    """
    waiting = list(needs)
    running: dict[Future[Found], str] = {}
    results: dict[str, Found] = {}
    for name in needs:
        while name not in results:
            for ready in [one for one in waiting if needs[one] <= results.keys()]:
                waiting.remove(ready)
                running[submit(ready)] = ready
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                results[running.pop(done)] = done.result()
        yield name, results[name]


def _file_name(row: str, seed: int) -> str:
    letters = "".join(c if c.isalnum() else " " for c in row.lower())
    return f"{'-'.join(letters.split())}-seed{seed}"
