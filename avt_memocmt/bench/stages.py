"""Where the time goes: stages that may lie inside each other, each second counted once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

STAGES = (
    "demux",
    "decode",
    "voice activity",
    "face detection",
    "face encoder",
    "audio encoder",
    "recogniser",
    "text encoder",
    "fusion",
    "temporal",
    "output",
    "other",
)
"""In the order of a prediction; "other" is what no stage accounts for."""


class StageTimer:
    """Adds up the seconds of stages of one thread; other threads run through it unseen.

    A stage inside another interrupts it, so the stages of a call add up to its time.

    Args:
        clock: seconds that only rise.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._thread = threading.get_ident()
        self._seconds: dict[str, float] = {}
        self._nested: list[float] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what happens in the block as this stage, but for the stages inside."""
        if threading.get_ident() != self._thread:
            yield
            return
        self._nested.append(0.0)
        began = self._clock()
        try:
            yield
        finally:
            spent = self._clock() - began
            inner = self._nested.pop()
            self._seconds[name] = self._seconds.get(name, 0.0) + spent - inner
            if self._nested:
                self._nested[-1] += spent

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, counted as a stage."""

        def call(*args: Any, **options: Any) -> Any:
            with self.stage(name):
                return function(*args, **options)

        return call

    def timed_steps(self, name: str, function: Callable[..., Iterator[Any]]) -> Callable[..., Any]:
        """The generator function, each of its steps counted as a stage."""

        def steps(*args: Any, **options: Any) -> Iterator[Any]:
            items = function(*args, **options)
            while True:
                with self.stage(name):
                    try:
                        item = next(items)
                    except StopIteration:
                        return
                yield item

        return steps

    def measure(self, call: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
        """The result of a call, and seconds by stage; their sum is the time of the call."""
        self._seconds = {}
        with self.stage("other"):
            result = call()
        found, self._seconds = self._seconds, {}
        return result, found


@dataclass(frozen=True)
class Timing:
    """Repeated calls, in seconds.

    Attributes:
        cold: the first call, which loads and warms up what the later ones find ready.
        warm: each call after it.
        stages: means over the warm calls; they add up to the mean of `warm`.
    """

    cold: float
    warm: tuple[float, ...]
    stages: dict[str, float]

    def percentile(self, share: float) -> float:
        """Of the warm calls, linearly interpolated; `share` in percent."""
        return float(np.percentile(self.warm, share))


def summarise(runs: Iterable[dict[str, float]]) -> Timing:
    """Timing of measured calls, of which the first is the cold one.

    Args:
        runs: seconds by stage of each call, at least two.

    Raises:
        ValueError: there are fewer than two.
    """
    cold, *warm = runs
    if not warm:
        raise ValueError("a cold call and at least one warm one are needed")
    names = [name for name in STAGES if any(name in run for run in warm)]
    means = {name: float(np.mean([run.get(name, 0.0) for run in warm])) for name in names}
    return Timing(sum(cold.values()), tuple(sum(run.values()) for run in warm), means)
