"""Utterances cut where their main speaker changes."""

from __future__ import annotations

import itertools

import numpy as np

from avt_memocmt.speakers.diarization import Diarization
from avt_memocmt.speakers.turns import SpeakerTurn


def talk(*turns: tuple[float, float, int], uncertain: tuple[int, ...] = ()) -> Diarization:
    made = tuple(SpeakerTurn(*turn) for turn in turns)
    return Diarization(made, tuple(made[i] for i in uncertain))


def test_a_pause_between_two_speakers_is_cut_in_its_middle() -> None:
    found = talk((1.0, 3.0, 0), (4.0, 6.0, 1)).split(0.5, 6.5)
    assert found == [(0.5, 3.5, 0), (3.5, 6.5, 1)]


def test_one_speaker_with_pauses_stays_whole() -> None:
    assert talk((0.0, 1.0, 2), (2.0, 4.0, 2)).split(0.0, 4.0) == [(0.0, 4.0, 2)]


def test_a_short_interjection_does_not_cut() -> None:
    assert talk((0.0, 2.0, 0), (2.0, 2.4, 1), (2.4, 5.0, 0)).split(0.0, 5.0) == [(0.0, 5.0, 0)]
    assert talk((0.0, 2.0, 0), (2.0, 2.4, 1), (2.6, 5.0, 2)).split(0.0, 5.0) == [
        (0.0, 2.0, 0),
        (2.0, 5.0, 2),
    ]


def test_in_overlap_whoever_spoke_before_goes_on() -> None:
    found = talk((0.0, 4.0, 0), (3.0, 6.0, 1)).split(0.0, 6.0)
    assert found == [(0.0, 4.0, 0), (4.0, 6.0, 1)]


def test_nothing_heard_is_uncertain() -> None:
    assert talk((0.0, 1.0, 0)).split(2.0, 3.0) == [(2.0, 3.0, None)]


def test_an_uncertain_turn_gives_no_speaker() -> None:
    found = talk((0.0, 2.0, 0), (2.0, 4.0, 1), uncertain=(1,)).split(0.0, 4.0)
    assert found == [(0.0, 2.0, 0), (2.0, 4.0, None)]


def test_neighbours_without_a_known_speaker_are_one_piece() -> None:
    found = talk((0.0, 2.0, 0), (2.0, 4.0, 1), uncertain=(0, 1)).split(0.0, 4.0)
    assert found == [(0.0, 4.0, None)]


def test_pieces_cover_any_utterance_without_a_hole() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        starts = np.sort(random.uniform(0, 20, 12))
        turns = [(s, s + random.uniform(0.1, 3), int(random.integers(3))) for s in starts.tolist()]
        start, end = np.sort(random.uniform(0, 22, 2)).tolist()
        pieces = talk(*turns, uncertain=(1, 4)).split(start, end)
        assert (pieces[0][0], pieces[-1][1]) == (start, end)
        assert all(a[1] == b[0] for a, b in itertools.pairwise(pieces))
        assert all(s < e for s, e, _ in pieces)
        assert all(a[2] != b[2] for a, b in itertools.pairwise(pieces))


def test_speakers_are_in_the_order_of_their_first_turn() -> None:
    assert talk((0.0, 1.0, 0), (1.0, 2.0, 1), (2.0, 3.0, 0)).speakers == (0, 1)
