"""When a job tells how long it still takes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from avt_memocmt.service.time_left import LEAST, TimeLeft


def told(share_at: Callable[[float], float]) -> list[tuple[float, float]]:
    """Seconds since the start and what is told then, of work that is looked at every 0.25 s."""
    left, found, now = TimeLeft(), [], 0.0
    while (share := share_at(now)) < 1:
        left.take(share, 1000 + now)
        if left.seconds is not None:
            found.append((now, left.seconds))
        now += 0.25
    return found


def test_a_steady_rate_is_told_after_a_while() -> None:
    found = told(lambda now: 0.1 + now / 100)
    assert found[0][0] == LEAST
    assert [left for _, left in found] == pytest.approx([90 - now for now, _ in found])


def test_a_fast_start_promises_nothing_and_no_figure_rises() -> None:
    found = told(lambda now: min(now, 3) * 0.05 + max(0.0, now - 3) * 0.005)
    end = 3 + 0.85 / 0.005
    assert found
    for now, left in found:
        assert left == pytest.approx(end - now, rel=0.05)


def test_what_slows_down_later_does_not_rise() -> None:
    found = told(lambda now: min(now, 20) * 0.02 + max(0.0, now - 20) * 0.005)
    figures = [left for _, left in found]
    assert figures == sorted(figures, reverse=True)


def test_work_that_stands_still_is_told_nothing_of() -> None:
    left = TimeLeft()
    for share, now in ((0.0, 0.0), (0.1, 0.25), (0.1, 60.0)):
        left.take(share, now)
    assert left.seconds is None
