"""Windows of sound: every sample is decided on once, however the sound arrives."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from avt_memocmt.media.types import SAMPLE_RATE, AudioChunk
from avt_memocmt.speakers.segmentation import WINDOW
from avt_memocmt.speakers.windows import Window, windows


def chunks(samples: np.ndarray, size: int, start: float = 0.0) -> Iterator[AudioChunk]:
    for at in range(0, len(samples), size):
        yield AudioChunk(start + at / SAMPLE_RATE, samples[at : at + size])


def decided(found: list[Window]) -> np.ndarray:
    """The sound of all zones, joined."""
    parts = []
    for window in found:
        first, last = (round(time * SAMPLE_RATE) for time in window.zone)
        parts.append(window.samples[first:last])
    return np.concatenate(parts)


@pytest.mark.parametrize("seconds", [0.2, 7.0, 10.0, 12.4, 15.0, 43.21])
@pytest.mark.parametrize("size", [1024, 7 * SAMPLE_RATE])
def test_zones_join_to_the_sound(seconds: float, size: int) -> None:
    samples = np.random.default_rng(0).normal(size=round(seconds * SAMPLE_RATE))
    samples = samples.astype(np.float32)
    found = list(windows(chunks(samples, size, start=3.0)))
    np.testing.assert_array_equal(decided(found), samples)
    ends = [window.start + window.zone[1] for window in found]
    starts = [window.start + window.zone[0] for window in found]
    assert starts[0] == pytest.approx(3.0)
    assert ends[-1] == pytest.approx(3.0 + seconds)
    assert starts[1:] == pytest.approx(ends[:-1])
    assert all(len(window.samples) <= WINDOW * SAMPLE_RATE for window in found)


def test_a_short_hole_is_silence_and_a_long_one_begins_anew() -> None:
    second = np.ones(SAMPLE_RATE, np.float32)
    sound = [AudioChunk(0.0, second), AudioChunk(1.5, second), AudioChunk(60.0, second)]
    first, second_window = windows(sound)
    assert (first.start, len(first.samples)) == (0.0, 2.5 * SAMPLE_RATE)
    assert not first.samples[SAMPLE_RATE : SAMPLE_RATE * 3 // 2].any()
    assert (second_window.start, second_window.zone) == (60.0, (0.0, 1.0))


def test_repeated_sound_is_taken_once() -> None:
    samples = np.arange(3 * SAMPLE_RATE, dtype=np.float32)
    twice = [
        AudioChunk(0.0, samples[: 2 * SAMPLE_RATE]),
        AudioChunk(0.5, samples[SAMPLE_RATE // 2 : SAMPLE_RATE]),
        AudioChunk(1.0, samples[SAMPLE_RATE:]),
    ]
    np.testing.assert_array_equal(decided(list(windows(twice))), samples)


def test_no_sound_has_no_window() -> None:
    assert list(windows([])) == []
