"""A run that hangs is ended, and the tests that run are named."""

from __future__ import annotations

import threading

from silence import SilenceWatch


def test_the_tests_that_run_are_known_and_a_run_that_ends_is_left_alone() -> None:
    told: list[str] = []
    watch = SilenceWatch(600, told.append)
    assert watch.running() == "none"
    for test in ("one", "two", "three"):
        watch.pytest_runtest_logstart(test)
    watch.pytest_runtest_logfinish("two")
    assert watch.running() == "one, three"
    watch.pytest_unconfigure()
    watch.thread.join(60)
    assert not watch.thread.is_alive()
    assert told == []


def test_a_silent_run_is_ended() -> None:
    told: list[str] = []
    ended = threading.Event()
    watch = SilenceWatch(0.2, lambda message: (told.append(message), ended.set())[1])
    assert ended.wait(60)
    watch.thread.join(60)
    assert told == ["no test began or ended for 0.2 s; running: none"]
