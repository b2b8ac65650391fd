"""How long work still takes, by how fast it went so far."""

from __future__ import annotations

from bisect import bisect_left

LEAST = 5.0
"""Seconds of work before which nothing is told."""
SAME_RATE = 0.25
"""Most by which the rate of the later half of the time may differ from that of the whole."""


class TimeLeft:
    """Tells nothing until the rate is steady, and then never more than it has told before.

    The rate is steady where the later half of the time went like the whole: at its start a film is
    decoded ahead of what is recognised in it, which would promise an early end.
    """

    def __init__(self) -> None:
        self._times: list[float] = []
        self._shares: list[float] = []
        self._told: float | None = None

    @property
    def seconds(self) -> float | None:
        """Left at the last `take`; None where that cannot be told yet."""
        return self._told

    def take(self, share: float, now: float) -> None:
        """Take how far the work is.

        Args:
            share: that is done, 0 to 1.
            now: in seconds, of any clock that goes evenly.
        """
        self._times.append(now)
        self._shares.append(share)
        taken = now - self._times[0]
        if taken < LEAST:
            return
        rate = (share - self._shares[0]) / taken
        half = bisect_left(self._times, now - taken / 2)
        if half == len(self._times) - 1:
            return  # nothing was heard in the later half
        later = (share - self._shares[half]) / (now - self._times[half])
        if rate > 0 and abs(later - rate) <= SAME_RATE * rate:
            left = (1 - share) / later
            self._told = left if self._told is None else min(self._told, left)
