"""A batch: its files through worker processes or a cluster, resumable at any moment."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from avt_memocmt.batch.inputs import Input, Inputs, Settled
from avt_memocmt.batch.ledger import Ledger
from avt_memocmt.batch.tables import Row, row_of, write_tables
from avt_memocmt.batch.work import ClusterTasks, FilePredictor, FileWork, LocalProcesses
from avt_memocmt.cluster.pool import Cluster
from avt_memocmt.files import remove_partial_files

SEARCH_EVERY = 2.0
"""Seconds from one search for new files to the next. Notices of the system would not come from
network drives, and whether a file still grows they do not tell either."""
_TABLES_EVERY = 10.0  # seconds


@dataclass(frozen=True)
class Resumed:
    """What a batch found of earlier runs.

    Attributes:
        kept: files whose results stay.
        other_options: results that were made with other options, and are made again.
        differing: names of those options.
    """

    kept: int
    other_options: int
    differing: list[str]


@dataclass
class Report:
    """What a batch tells while it runs; by default nothing.

    Attributes:
        resumed: called once, before the first file is begun.
        progress: called with the number of files done, kept ones included, and of all.
        done: called with the prediction of each file, of earlier runs too, as `predict --json` has
            it.
        failed: called with a file and the reason.
    """

    resumed: Callable[[Resumed], None] = lambda resumed: None
    progress: Callable[[int, int], None] = lambda done, total: None
    done: Callable[[dict[str, Any]], None] = lambda prediction: None
    failed: Callable[[str, str], None] = lambda name, why: None


class Batch:
    """Files, what is done with each, and what became of them.

    Attributes:
        rows: of the files that are done, by name.
        failures: reasons by file or argument.

    Args:
        inputs: the files.
        predictor: what is done with each.
        workers: number of processes, or the cluster that does the files.
        resume: whether results of earlier runs stay, where file and options are the same.
        watch: whether to go on looking for files until interrupted.
        report: is told how it goes.

    Raises:
        AvtError: there is no such checkpoint, or the output folder cannot be used.
    """

    def __init__(
        self,
        inputs: Inputs,
        predictor: FilePredictor,
        workers: int | Cluster = 1,
        *,
        resume: bool = False,
        watch: bool = False,
        report: Report | None = None,
    ) -> None:
        self.rows: dict[str, Row] = {}
        self.failures: dict[str, str] = {}
        self._inputs, self._predictor = inputs, predictor
        self._watch = watch
        self._work: FileWork = (
            ClusterTasks(predictor, workers)
            if isinstance(workers, Cluster)
            else LocalProcesses(predictor, workers)
        )
        self._report = report or Report()
        self._ledger = Ledger(predictor.folder, predictor.options(), resume)
        self._known: dict[str, Input] = {}
        self._waiting: deque[Input] = deque()
        self._settled = Settled()
        self._searched = -SEARCH_EVERY
        self._written = time.monotonic()
        self._has_news = True  # that the tables lack

    def run(self) -> None:
        """Do what is not done yet; interrupted, keep all that is done.

        Raises:
            AvtError: no file can be predicted, or results cannot be written.
        """
        try:
            self._begin()
            while self._step():
                pass
        finally:
            self._work.close()
            self._write_tables()

    def _begin(self) -> None:
        found, missing = self._find()
        self.failures.update(missing)
        for folder in {self._predictor.result_path(item).parent for item in found}:
            remove_partial_files(folder)
        other, differing = self._ledger.other_options(found)
        for item in found:
            prediction = self._read(item) if self._ledger.is_current(item) else None
            if prediction is not None:
                self._known[item.name] = item
                self._report.done(prediction)
        self._report.resumed(Resumed(len(self._known), other, differing))
        if not self._watch:
            self._take(found)

    def _find(self) -> tuple[list[Input], list[tuple[str, str]]]:
        """See `Inputs.find`; each file once."""
        found, missing = self._inputs.find()
        return list({item.name: item for item in found}.values()), missing

    def _take(self, found: list[Input]) -> None:
        """Put files into the queue that are new, or have changed."""
        busy = {item.name for item in self._work.unfinished()}
        for item in found:
            if self._known.get(item.name) != item and item.name not in busy:
                self._known[item.name] = item
                self._waiting.append(item)
        self._show()

    def _step(self) -> bool:
        """Start what can be started and wait for what happens next; False at the end."""
        self._search()
        while self._waiting and self._work.has_room():
            self._work.start(self._waiting.popleft())
        if not self._work.unfinished():
            if self._has_news:
                self._write_tables()
            if not self._watch:
                return False
            time.sleep(SEARCH_EVERY)
            return True
        for item, why in self._work.wait(SEARCH_EVERY if self._watch else None):
            self._end(item, why)
        if time.monotonic() - self._written >= _TABLES_EVERY:
            self._write_tables()
        return True

    def _search(self) -> None:
        now = time.monotonic()
        if self._watch and now - self._searched >= SEARCH_EVERY:
            self._searched = now
            self._take(self._settled.of(self._find()[0], now))

    def _end(self, item: Input, why: str | None) -> None:
        """Note what became of a file."""
        self._has_news = True
        prediction = self._read(item) if why is None else None
        if prediction is not None:
            self._ledger.add(item)
            self.failures.pop(item.name, None)
            self._report.done(prediction)
        else:
            why = why or "its result was removed while the batch ran."
            self.rows.pop(item.name, None)
            self.failures[item.name] = why
            self._report.failed(item.name, why)
        self._show()

    def _read(self, item: Input) -> dict[str, Any] | None:
        """The prediction of a file from its result, whose row is noted; None if it is damaged."""
        try:
            prediction = json.loads(self._predictor.result_path(item).read_text(encoding="utf-8"))
            self.rows[item.name] = row_of(item.name, prediction)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return dict(prediction)

    def _show(self) -> None:
        left = len(self._waiting) + len(self._work.unfinished())
        self._report.progress(len(self._known) - left, len(self._known))

    def _write_tables(self) -> None:
        write_tables(self._predictor.folder, self.rows.values(), self.failures.items())
        self._written, self._has_news = time.monotonic(), False
