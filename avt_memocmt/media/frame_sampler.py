"""Which pictures of a video are kept."""

from __future__ import annotations

import math
from bisect import bisect

_CLOCK_TOLERANCE = 0.002  # seconds: containers round timestamps to 1 ms
_MOST_TIMES = 64  # more than pictures refer forwards


class FrameSampler:
    """Keeps the first picture and then the first one at or after each tick of a fixed clock.

    The ticks lie 1 / `frames_per_second` apart, from the first picture on, so a variable frame
    rate is honoured and a source slower than the clock is kept whole, never repeated.

    Raises:
        ValueError: `frames_per_second` is not positive.
    """

    def __init__(self, frames_per_second: float) -> None:
        if not frames_per_second > 0:
            raise ValueError(f"frames_per_second must be positive, got {frames_per_second}")
        self._rate = frames_per_second
        self._first: float | None = None
        self._next_tick = 0
        self._promised: dict[int, float] = {}

    def wants(self, time: float) -> bool:
        """Whether the picture at `time` (seconds, not decreasing) is kept."""
        if self._first is None:
            self._first = time
        tick = self._tick(time)
        if tick < self._next_tick:
            return False
        self._next_tick = tick + 1
        self._promised = {t: at for t, at in self._promised.items() if t > tick}
        return True

    def next_after(self, time: float) -> float:
        """The earliest time, seconds, of a picture kept after the one at `time`."""
        if self._first is None:
            self._first = time
        return self._first + (self._tick(time) + 1) / self._rate - _CLOCK_TOLERANCE

    def may_skip(self, time: float) -> bool:
        """Whether the picture at `time` (seconds, in any order) will not be kept.

        It will not if an earlier picture after the same tick was asked about before. Pictures are
        asked about in the order of the file, which is not the order of their times.
        """
        if self._first is None:
            return False
        tick = self._tick(time)
        if tick < self._next_tick:
            return True
        earliest = self._promised.setdefault(tick, time)
        self._promised[tick] = min(earliest, time)
        return earliest < time

    def _tick(self, time: float) -> int:
        """Number of the last tick at or before `time`, from 0."""
        assert self._first is not None
        return math.floor((time - self._first + _CLOCK_TOLERANCE) * self._rate)


class DenseFrames:
    """Finds pictures whose neighbours lie so close that they are not needed.

    Asked about in the order of the file, in which pictures that others need come before those
    others: so of usual films every second picture is found, which the decoder then leaves out.

    Args:
        longest: seconds from one of the others to the next, at most.
    """

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._times: list[float] = []

    def may_skip(self, time: float) -> bool:
        """Whether what was asked about before and is kept surrounds `time` closely, in seconds."""
        place = bisect(self._times, time)
        around = self._times[max(place - 1, 0) : place + 1]
        if len(around) == 2 and around[1] - around[0] <= self._longest:
            return True
        self._times.insert(place, time)
        del self._times[:-_MOST_TIMES]
        return False
