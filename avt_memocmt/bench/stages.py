"""Measures how long each stage of a prediction takes; nested stages are counted once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import isgenerator, isgeneratorfunction
from typing import Any

import numpy as np

STAGES = (
    *("demux", "decode", "wait for decoder", "voice activity", "face detection", "face encoder"),
    *("audio encoder", "recogniser", "text encoder", "fusion", "temporal", "output", "other"),
)
"""In the order of a prediction; "other" is the time outside all stages."""


@dataclass(frozen=True)
class Stages:
    """Seconds of one call by stage.

    Attributes:
        own: in the thread that made the call; they add up to the time of the call.
        beside: in other threads during the call.
    """

    own: dict[str, float]
    beside: dict[str, float]

    @property
    def total(self) -> float:
        """Seconds of the call."""
        return sum(self.own.values())


class StageTimer:
    """Adds up the seconds of stages, apart for the thread that made the timer and for all others.

    While an inner stage runs the outer one does not count, so the stages of a call add up to its
    time.

    Args:
        clock: returns seconds that only rise.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._thread = threading.get_ident()
        self._found = Stages({}, {})
        self._lock = threading.Lock()
        self._local = threading.local()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what happens in the block as this stage, except for the stages inside it."""
        nested = self._local.__dict__.setdefault("nested", [])
        nested.append(0.0)
        began = self._clock()
        try:
            yield
        finally:
            spent = self._clock() - began
            inner = nested.pop()
            with self._lock:
                own = threading.get_ident() == self._thread
                seconds = self._found.own if own else self._found.beside
                seconds[name] = seconds.get(name, 0.0) + spent - inner
            if nested:
                nested[-1] += spent

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function so that its calls, or the steps of a generator it returns, count."""

        def call(*args: Any, **options: Any) -> Any:
            with self.stage(name):
                result = function(*args, **options)
            return self._steps(name, result) if isgenerator(result) else result

        def steps(*args: Any, **options: Any) -> Iterator[Any]:
            return self._steps(name, function(*args, **options))

        # Making a generator is no work of the stage, and may happen in another thread.
        return steps if isgeneratorfunction(function) else call

    def _steps(self, name: str, items: Iterator[Any]) -> Iterator[Any]:
        """Yield the items; the time to each counts as a stage."""
        while True:
            with self.stage(name):
                try:
                    item = next(items)
                except StopIteration:
                    return
            yield item

    def measure(self, call: Callable[[], Any]) -> tuple[Any, Stages]:
        """Return the result of a call, and its seconds by stage."""
        self._reset()
        with self.stage("other"):
            result = call()
        return result, self._reset()

    def _reset(self) -> Stages:
        """Return what was counted, and count from zero."""
        with self._lock:
            found, self._found = self._found, Stages({}, {})
        return found


@dataclass(frozen=True)
class Timing:
    """Repeated calls, in seconds.

    Attributes:
        cold: the first call, which also loads and warms up.
        warm: each later call.
        stages: means by stage over the warm calls; they add up to the mean of `warm`.
        beside: means by stage in other threads during the warm calls.
    """

    cold: float
    warm: tuple[float, ...]
    stages: dict[str, float]
    beside: dict[str, float]

    def percentile(self, percent: float) -> float:
        """Percentile of the warm calls, linearly interpolated."""
        return float(np.percentile(self.warm, percent))


def summarise(runs: Iterable[Stages]) -> Timing:
    """Summarise measured calls, of which the first is the cold one.

    Raises:
        ValueError: there are fewer than two.
    """
    cold, *warm = runs
    if not warm:
        raise ValueError("a cold call and at least one warm one are needed")
    own, beside = (_means([vars(run)[thread] for run in warm]) for thread in ("own", "beside"))
    return Timing(cold.total, tuple(run.total for run in warm), own, beside)


def _means(runs: list[dict[str, float]]) -> dict[str, float]:
    names = [name for name in STAGES if any(name in run for run in runs)]
    return {name: float(np.mean([run.get(name, 0.0) for run in runs])) for name in names}
