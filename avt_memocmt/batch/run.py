"""A batch: its files through worker processes, resumable at any moment."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Protocol

from avt_memocmt.batch.inputs import Input, Inputs, Settled
from avt_memocmt.batch.ledger import Ledger
from avt_memocmt.batch.tables import Row, row_of, write_tables
from avt_memocmt.files import remove_partial_files
from avt_memocmt.workers import DeadWorkerError, Worker

SEARCH_EVERY = 2.0
"""Seconds from one search for new files to the next. Notices of the system would not come from
network drives, and whether a file still grows they do not tell either."""
_TABLES_EVERY = 10.0  # seconds

Process = Worker[Input, str | None]


class FilePredictor(Protocol):
    """What is done with each file, in worker processes, to which it is pickled; see `Predictor`.

    Attributes:
        folder: for the results.
    """

    folder: Path

    def __call__(self, item: Input) -> str | None:
        """Write the result of a file; return the reason where it fails."""

    def options(self) -> dict[str, Any]:
        """All that decides on a result beside its file."""

    def result_path(self, item: Input) -> Path:
        """Of the JSON with the prediction of a file."""


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

    A file at which its process dies is tried once more when no other runs, because the memory of
    its neighbours may have been to blame; then it counts as failed.

    Attributes:
        rows: of the files that are done, by name.
        failures: reasons by file or argument.

    Args:
        inputs: the files.
        predictor: what is done with each.
        workers: number of processes.
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
        workers: int = 1,
        *,
        resume: bool = False,
        watch: bool = False,
        report: Report | None = None,
    ) -> None:
        self.rows: dict[str, Row] = {}
        self.failures: dict[str, str] = {}
        self._inputs, self._predictor = inputs, predictor
        self._workers, self._watch = workers, watch
        self._report = report or Report()
        self._ledger = Ledger(predictor.folder, predictor.options(), resume)
        self._known: dict[str, Input] = {}
        self._waiting: deque[Input] = deque()
        self._to_try_alone: deque[Input] = deque()
        self._alone: Input | None = None
        self._idle: list[Process] = []
        self._running: dict[Process, Input] = {}
        self._settled = Settled()
        self._searched = -SEARCH_EVERY
        self._written = time.monotonic()

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
            for process in self._idle:
                process.kill()
            for process, item in self._running.items():
                self._discard(process, item)
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

    def _discard(self, process: Process, item: Input) -> None:
        """End a process that is at work, or has died, and remove what it left unfinished."""
        process.kill()
        remove_partial_files(self._predictor.result_path(item).parent, process.pid)

    def _take(self, found: list[Input]) -> None:
        """Put files into the queue that are new, or have changed."""
        busy = {item.name for item in self._running.values()}
        for item in found:
            if self._known.get(item.name) != item and item.name not in busy:
                self._known[item.name] = item
                self._waiting.append(item)
        self._show()

    def _step(self) -> bool:
        """Start what can be started and wait for what happens next; False at the end."""
        self._search()
        self._start()
        if not self._running:
            self._write_tables()
            if not self._watch:
                return False
            time.sleep(SEARCH_EVERY)
            return True
        ready = wait([p.connection for p in self._running], SEARCH_EVERY if self._watch else None)
        for process in [p for p in self._running if p.connection in ready]:
            self._finish(process)
        if time.monotonic() - self._written >= _TABLES_EVERY:
            self._write_tables()
        return True

    def _search(self) -> None:
        now = time.monotonic()
        if self._watch and now - self._searched >= SEARCH_EVERY:
            self._searched = now
            self._take(self._settled.of(self._find()[0], now))

    def _start(self) -> None:
        if self._alone is not None:
            return
        while self._waiting and len(self._running) < self._workers:
            self._give(self._waiting.popleft())
        if self._to_try_alone and not self._running:
            self._alone = self._to_try_alone.popleft()
            self._give(self._alone)

    def _give(self, item: Input) -> None:
        process = self._idle.pop() if self._idle else Worker(self._predictor)
        self._running[process] = item
        process.start(item)

    def _finish(self, process: Process) -> None:
        item = self._running[process]
        was_alone, self._alone = self._alone is not None, None
        try:
            why = process.result()
        except DeadWorkerError as death:
            del self._running[process]
            self._discard(process, item)
            if not was_alone:
                self._to_try_alone.append(item)
                return
            why = (
                f"its process was ended twice ({death}): the file is damaged, or needs more memory "
                "than there is; convert it, or try it on a larger machine."
            )
        else:
            self._idle.append(process)
            del self._running[process]
        self._end(item, why)

    def _end(self, item: Input, why: str | None) -> None:
        """Note what became of a file."""
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
        left = len(self._waiting) + len(self._running) + len(self._to_try_alone)
        self._report.progress(len(self._known) - left, len(self._known))

    def _write_tables(self) -> None:
        write_tables(self._predictor.folder, self.rows.values(), self.failures.items())
        self._written = time.monotonic()
