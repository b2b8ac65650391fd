"""What a speaker's other utterances have in common is subtracted, the more the more there are."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from model_factory import DIMS, make_dialogue, make_model
from torch import Tensor

from avt_memocmt.data.dialogue_batch import ModalityBatch, collate
from avt_memocmt.data.speaker_baselines import MODALITIES_OF_A_PERSON
from avt_memocmt.models.heads import LayerStatistics, SpeakerBaseline, statistics

WIDTH = 4
MANY = 1e18
"""Utterances beside which `TURNS` vanishes even in double precision."""


def make_part(seed: int, count: float, tokens: int = 5) -> ModalityBatch:
    torch.manual_seed(seed)
    mask = torch.ones(2, tokens, dtype=torch.bool)
    mask[1, 3:] = False
    values, spans = torch.randn(2, tokens, WIDTH), torch.zeros(2, tokens, 2)
    return ModalityBatch(values, spans, mask, torch.randn(2, 2 * WIDTH), torch.full((2,), count))


@pytest.fixture
def speaker() -> SpeakerBaseline:
    found = SpeakerBaseline(WIDTH)
    torch.manual_seed(9)
    found.mean.copy_(torch.randn(2 * WIDTH))
    return found


def test_a_speaker_of_whom_nothing_is_known_is_left_alone(speaker: SpeakerBaseline) -> None:
    part = make_part(0, count=0)
    found = speaker(part)
    assert torch.equal(found.values, part.values)
    assert torch.equal(found.baseline, torch.zeros(2, 2 * WIDTH))
    assert torch.equal(found.mask, part.mask)


@pytest.mark.parametrize(("count", "share"), [(SpeakerBaseline.TURNS, 0.5), (6.0, 0.75), (MANY, 1)])
def test_the_share_that_is_subtracted_grows_with_the_utterances(
    speaker: SpeakerBaseline, count: float, share: float
) -> None:
    part = make_part(1, count)
    found = speaker(part)
    difference = part.baseline - speaker.mean
    torch.testing.assert_close(found.baseline, share * difference)
    expected = part.values - share * difference[:, None, :WIDTH]
    torch.testing.assert_close(found.values, expected)


def test_deviations_are_measured_against_the_speakers_own() -> None:
    layers = LayerStatistics(WIDTH, 3, (0.0, 0.0))
    layers.set_statistics(torch.full((2 * WIDTH,), 0.25), torch.full((2 * WIDTH,), 2.0))
    part = make_part(2, count=3)
    mean, deviation = statistics(part.values, part.mask).chunk(2, dim=1)
    own = part.baseline[:, WIDTH:]
    expected = (torch.cat([mean, deviation - own], dim=1) - 0.25) / 2
    torch.testing.assert_close(layers.standard(part), expected)
    other_mean = replace(part, baseline=torch.cat([part.baseline[:, :WIDTH] + 7, own], dim=1))
    assert torch.equal(layers.standard(other_mean), layers.standard(part))


def shifted(part: ModalityBatch, shift: Tensor) -> ModalityBatch:
    """The same speech of somebody whose every token, at all times, is `shift` higher."""
    longer = torch.cat([shift, torch.zeros_like(shift)])
    return replace(part, values=part.values + shift, baseline=part.baseline + longer)


@pytest.mark.parametrize("name", MODALITIES_OF_A_PERSON)
def test_a_well_known_speaker_may_be_anybody(name: str) -> None:
    net = make_model().double()
    batch = collate([make_dialogue(3, 2)], DIMS)
    parts = {
        m: part.flatten_turns().map(lambda x: x if x.dtype == torch.bool else x.double())
        for m, part in batch.modalities.items()
    }
    shift = torch.linspace(-3, 3, DIMS[name], dtype=torch.float64)

    def difference(count: float) -> float:
        known = {
            m: replace(part, baseline_count=torch.full((3,), count, dtype=torch.float64))
            for m, part in parts.items()
        }
        somebody_else = {**known, name: shifted(known[name], shift)}
        with torch.no_grad():
            found, other = net.fuse(known), net.fuse(somebody_else)
        gaps = [found.pooled_logits - other.pooled_logits, found.utterances - other.utterances]
        return max(float(gap.abs().max()) for gap in gaps)

    assert difference(MANY) < 1e-9
    assert difference(SpeakerBaseline.TURNS) > 1e-3
    assert difference(0) > 1e-3
