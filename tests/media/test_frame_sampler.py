"""Which pictures are kept, and which need not even be decoded."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from media_factory import write_media

from avt_memocmt.media.frame_sampler import DenseFrames, FrameSampler
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.media.types import VideoFrame


def kept(times: list[float], rate: float) -> list[float]:
    sampler = FrameSampler(rate)
    return [time for time in times if sampler.wants(time)]


def test_the_first_picture_after_each_tick_is_kept() -> None:
    assert kept([0.1, 0.2, 0.35, 0.4, 0.7, 0.85], 4.0) == [0.1, 0.35, 0.7, 0.85]


def test_what_may_be_skipped_is_never_wanted() -> None:
    """Pictures are asked about in groups whose order in the file is not that of their times."""
    times = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.15, 60)).round(3).tolist()
    wanted = kept(times, 4.0)
    for order in itertools.permutations(range(4)):
        sampler = FrameSampler(4.0)
        found = []
        for first in range(0, len(times), 4):
            group = times[first : first + 4]
            skipped = {group[i] for i in order if sampler.may_skip(group[i])}
            found += [t for t in group if t not in skipped and sampler.wants(t)]
        assert found == wanted


def test_all_but_the_wanted_may_be_skipped_in_the_order_of_time() -> None:
    times = [i / 25 for i in range(100)]
    sampler = FrameSampler(4.0)
    decoded = [t for t in times if not sampler.may_skip(t) and (sampler.wants(t) or True)]
    assert decoded == kept(times, 4.0)


@pytest.mark.parametrize("b_frames", ["0", "3"])
def test_skipping_in_the_decoder_changes_no_picture(
    b_frames: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = [i / 25 for i in range(70)]
    path = write_media(
        tmp_path / "film.mp4",
        picture_times=times,
        video_options={"preset": "medium", "bf": b_frames},
    )

    def pictures() -> list[VideoFrame]:
        with MediaReader(path) as reader:
            return [event for event in reader.events() if isinstance(event, VideoFrame)]

    found = pictures()
    monkeypatch.setattr(FrameSampler, "may_skip", lambda self, time: False)
    expected = pictures()
    assert [frame.time for frame in found] == [frame.time for frame in expected]
    assert len(found) == 12
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.image, other.image)


@pytest.mark.parametrize("rate", [4.0, 3.0, 0.7])
def test_no_picture_is_kept_before_the_next_tick(rate: float) -> None:
    draw = np.random.default_rng(0)
    times = np.cumsum(draw.uniform(0.01, 0.4, 400))
    keeps, foretells = FrameSampler(rate), FrameSampler(rate)
    chosen = [time for time in times if keeps.wants(time)]
    for time, after in itertools.pairwise(chosen):
        earliest = foretells.next_after(time)
        assert time < earliest <= after
        tick = times[0] + round((earliest - times[0]) * rate) / rate
        assert earliest == pytest.approx(tick, abs=0.003)


def left_out(order: list[int], longest: float = 0.1) -> list[int]:
    """Pictures, by number at 25 a second, that need not be decoded; asked about in this order."""
    dense = DenseFrames(longest)
    return [number for number in order if dense.may_skip(number / 25)]


def test_pictures_with_close_neighbours_are_left_out() -> None:
    assert left_out([0, 4, 2, 1, 3, 8, 6, 5, 7]) == [1, 3, 5, 7]
    assert left_out([0, 3, 1, 2, 6, 4, 5]) == [2, 5]
    assert left_out(list(range(50))) == []


def test_what_is_left_never_has_a_longer_gap_than_it_may() -> None:
    draw = np.random.default_rng(1)
    for _ in range(200):
        group = [0, 20, *draw.permutation(np.arange(1, 20)).tolist()]
        kept = np.array(sorted(set(group) - set(left_out(group, 0.15))))
        assert np.diff(kept).max() <= 3
