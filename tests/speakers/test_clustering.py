"""Voices grouped into speakers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from voice_factory import directions, voices

from avt_memocmt.speakers.clustering import MOST_AT_ONCE, cluster
from avt_memocmt.speakers.voices import Voice

TALK = [2, 0, 2, 1, 0, 1, 2, 0]


def find(made: list[Voice], count: int | None = None, least: int = 1, most: int = 20) -> list[int]:
    return cluster(made, count, least, most).labels.tolist()


def partition(labels: list[int]) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(np.array(labels) == who).tolist()) for who in set(labels)}


@pytest.mark.parametrize("count", [None, 3])
def test_speakers_are_found_and_numbered_as_they_appear(count: int | None) -> None:
    assert find(voices(TALK), count) == [0, 1, 0, 2, 1, 2, 0, 1]


@pytest.mark.parametrize("count", [None, 3])
def test_the_order_of_the_voices_changes_only_the_numbers(count: int | None) -> None:
    made = voices(TALK, noise=0.05)
    order = np.random.default_rng(1).permutation(len(made))
    shuffled = find([made[i] for i in order], count)
    back = [shuffled[list(order).index(i)] for i in range(len(made))]
    assert partition(back) == partition(find(made, count))


def test_the_numbers_of_speakers_are_kept() -> None:
    made = voices(TALK)
    assert len(set(find(made, most=2))) == 2
    assert len(set(find(made, least=5))) == 5
    assert len(set(find(made, count=2))) == 2
    assert len(set(find(made, count=1))) == 1


def test_one_speaker_stays_one() -> None:
    assert set(find(voices([0] * 40, noise=0.05))) == {0}


def test_a_short_odd_sound_is_no_speaker() -> None:
    made = voices([0, 0, 1, 0, 0])
    made[2] = replace(made[2], seconds=1.2)
    assert set(find(made)) == {0}


def test_what_one_window_tells_apart_is_parted_though_the_voices_are_alike() -> None:
    a, b = directions(2)
    mixed = [(a + s * b) / np.hypot(1, s) for s in (-0.47, 0.47) * 3]  # distance 0.36
    made = [
        replace(v, embedding=x.astype(np.float32))
        for v, x in zip(voices([0] * 6), mixed, strict=True)
    ]
    assert len(set(find(made))) == 1
    together = [replace(v, window=0, local=at % 2) for at, v in enumerate(made)]
    assert find(together) == [0, 1] * 3


def test_a_voice_between_two_speakers_or_too_short_is_uncertain() -> None:
    made = voices([0, 1] * 20, noise=0.0)
    a, b = directions(2)
    between = replace(made[0], embedding=(a + 1.02 * b).astype(np.float32))
    short = replace(made[1], seconds=0.5)
    silent = replace(made[2], seconds=0.1, embedding=None)
    found = cluster([*made, silent, short, between], None, 1, 20)
    assert found.certain.tolist() == [True] * 40 + [False] * 3
    assert found.labels[41] == found.labels[1]


def test_nothing_is_compared_all_with_all_in_a_long_recording(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from avt_memocmt.speakers import clustering

    sizes = []
    grouped = clustering.grouped

    def watched(distances: np.ndarray, *arguments: float) -> np.ndarray:
        sizes.append(len(distances))
        return grouped(distances, *arguments)

    monkeypatch.setattr(clustering, "MOST_AT_ONCE", 60)
    monkeypatch.setattr(clustering, "grouped", watched)
    speakers = np.random.default_rng(0).integers(4, size=500).tolist()
    assert partition(find(voices(speakers))) == partition(speakers)
    assert max(sizes) <= 60 < MOST_AT_ONCE


def test_no_voices_have_no_speakers() -> None:
    assert find([]) == []
