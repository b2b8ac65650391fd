"""Running means of what each speaker is like, of the past alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from avt_memocmt.data.dialogue_batch import TurnFeatures, collate
from avt_memocmt.data.speaker_baselines import Baseline, SpeakerBaselines, token_statistics
from avt_memocmt.features.base import Tokens
from avt_memocmt.models.heads import statistics


def make_tokens(seed: int, count: int = 4, width: int = 3) -> Tokens:
    values = np.random.default_rng(seed).normal(size=(count, width)).astype(np.float16)
    return Tokens(values, np.zeros((count, 2), np.float32))


def test_statistics_are_those_that_the_network_takes_of_the_same_tokens() -> None:
    for count in (1, 9):
        tokens = make_tokens(0, count)
        values = torch.from_numpy(tokens.values.astype(np.float32))[None]
        (expected,) = statistics(values, torch.ones(1, count, dtype=torch.bool))
        found = token_statistics(tokens)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_turn_has_the_mean_of_its_speakers_earlier_turns() -> None:
    spoken = [("Ann", 0), ("Bob", 1), ("Ann", 2), ("Ann", 3), ("Bob", 4)]
    so_far = SpeakerBaselines()
    for place, (speaker, seed) in enumerate(spoken):
        found = so_far.of(speaker)
        before = [make_tokens(s) for by, s in spoken[:place] if by == speaker]
        assert list(found) == (["audio"] if before else [])
        if before:
            mean = np.mean([token_statistics(tokens) for tokens in before], axis=0)
            np.testing.assert_allclose(found["audio"].statistics, mean, atol=1e-6)
            assert found["audio"].statistics.dtype == np.float32
            assert found["audio"].count == len(before)
        so_far.add(speaker, {"audio": make_tokens(seed)})


def test_speakers_without_a_name_have_no_baseline() -> None:
    so_far = SpeakerBaselines()
    so_far.add(None, {"audio": make_tokens(0)})
    assert so_far.of(None) == {}
    so_far.add("Ann", {"audio": make_tokens(0)})
    assert so_far.of(None) == {}
    assert so_far.of("Bob") == {}


def test_each_modality_counts_the_turns_that_have_it() -> None:
    so_far = SpeakerBaselines()
    so_far.add("Ann", {"audio": make_tokens(0), "visual": make_tokens(1, width=5)})
    so_far.add("Ann", {"audio": make_tokens(2), "visual": make_tokens(3, count=0)})
    assert {m: own.count for m, own in so_far.of("Ann").items()} == {"audio": 2, "visual": 1}
    assert so_far.of("Ann")["visual"].statistics.shape == (10,)


def test_words_are_not_judged_against_other_words() -> None:
    so_far = SpeakerBaselines()
    so_far.add("Ann", {"text": make_tokens(0)})
    assert so_far.of("Ann") == {}


def test_measurements_with_names_have_no_baseline() -> None:
    so_far = SpeakerBaselines()
    so_far.add("Ann", {"audio": make_tokens(0, width=1)})
    assert so_far.of("Ann") == {}


def test_an_utterance_can_be_left_out_of_its_own_baseline() -> None:
    first, second = ({"audio": make_tokens(seed)} for seed in (0, 1))
    so_far = SpeakerBaselines()
    so_far.add("Ann", first)
    assert so_far.of("Ann", without=first) == {}
    so_far.add("Ann", second)
    found = so_far.of("Ann", without=first)["audio"]
    np.testing.assert_allclose(found.statistics, token_statistics(second["audio"]), atol=1e-6)
    assert found.count == 1


def test_a_batch_holds_baselines_where_they_are_known() -> None:
    own = Baseline(np.arange(6, dtype=np.float32), 4)
    tokens = {"audio": make_tokens(0)}
    turns = [TurnFeatures(tokens, baselines={"audio": own}), TurnFeatures(tokens)]
    better_known = replace(turns[0], baselines={"audio": replace(own, count=9)})
    part = collate([turns, [better_known]], {"audio": 3, "text": 2}).modalities["audio"]
    assert part.baseline_count.tolist() == [[4, 0], [9, 0]]
    assert part.baseline[0, 0].tolist() == pytest.approx(list(range(6)))
    assert torch.equal(part.baseline[:, 1], torch.zeros(2, 6))
    flat = part.flatten_turns()
    assert flat.baseline_count.tolist() == [4, 0, 9, 0]
    chosen = flat.rows(torch.tensor([2, 1]))
    assert chosen.baseline_count.tolist() == [9, 0]
    assert torch.equal(chosen.baseline, torch.stack([part.baseline[1, 0], part.baseline[0, 1]]))
