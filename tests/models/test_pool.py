"""The pool of the modalities' own decisions, the trust that weighs them, and its correction."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations

import pytest
import torch
from model_factory import DIMS, SHAPES, SMALL, make_baseline, make_dialogue, make_model
from torch import Tensor, nn

from avt_memocmt.config import MODALITIES
from avt_memocmt.data.dialogue_batch import ModalityBatch, collate
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.models.heads import ReliabilityGate

SUBSETS = [s for n in (1, 2, 3) for s in combinations(MODALITIES, n)]


def flat_parts(turns: int, seed: int, present: tuple[str, ...]) -> dict[str, ModalityBatch]:
    batch = collate([make_dialogue(turns, seed, present)], DIMS)
    return {m: part.flatten_turns() for m, part in batch.modalities.items()}


def trust_alike(net: AvtMemoCmt, trust: tuple[float, ...]) -> None:
    """Let the gate give the modalities this trust, whatever it sees."""
    nn.init.zeros_(net.gate.trust.weight)
    with torch.no_grad():
        net.gate.trust.bias.copy_(torch.tensor(trust).expm1().log())


@pytest.mark.parametrize("present", SUBSETS, ids="+".join)
def test_the_pool_is_the_sum_of_trust_times_log_probabilities(present: tuple[str, ...]) -> None:
    net = make_model()
    trust = dict(zip(MODALITIES, (0.5, 2.0, 1.25), strict=True))
    trust_alike(net, tuple(trust.values()))
    net.temperatures.set_unimodal("text", 3.0)
    with torch.no_grad():
        fused = net.fuse(flat_parts(3, 4, present))
    if len(present) == 1:
        trust[present[0]] = 1.0  # it decides by itself
    assert fused.corrected.tolist() == [float(len(present) > 1)] * 3
    own = {m: fused.unimodal_logits[m].log_softmax(dim=1) for m in present}
    expected = torch.stack([trust[m] * own[m] for m in present]).sum(dim=0)
    torch.testing.assert_close(fused.pooled_logits, expected)
    total = sum(trust[m] for m in present)
    shares = [trust[m] / total if m in present else 0.0 for m in MODALITIES]
    torch.testing.assert_close(fused.modality_weights, torch.tensor([shares] * 3))


def test_a_turns_logits_are_the_pool_and_its_correction_by_the_temperature() -> None:
    net = make_model()
    net.temperatures.set_decision(MODALITIES, 2.5)
    batch = collate([make_dialogue(4, 1), make_dialogue(2, 2)], DIMS)
    with torch.no_grad():
        found = net(batch).logits
        for row, turns in enumerate((4, 2)):
            parts = {
                m: part.map(lambda x, row=row, turns=turns: x[row, :turns])
                for m, part in batch.modalities.items()
            }
            fused = net.fuse(parts)
            turn_mask, change = batch.turn_mask[row, :turns], batch.speaker_change[row, :turns]
            correction = net.classify(fused.utterances[None], turn_mask[None], change[None])[0]
            assert correction.abs().max() > 0.1
            expected = fused.logits(correction) / 2.5
            torch.testing.assert_close(found[row, :turns], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("present", SUBSETS, ids="+".join)
def test_before_training_the_decision_is_the_plain_product_of_the_own_ones(
    present: tuple[str, ...],
) -> None:
    torch.manual_seed(0)
    net = AvtMemoCmt(SHAPES, SMALL).eval()
    batch = collate([make_dialogue(3, 5, present)], DIMS)
    with torch.no_grad():
        found = net(batch)
        utterances = torch.randn(1, 3, SMALL.dim)
        correction = net.classify(utterances, batch.turn_mask, batch.speaker_change)
    assert torch.equal(correction, torch.zeros(1, 3, 7))
    own = torch.stack([found.unimodal_logits[m].log_softmax(dim=2) for m in present])
    torch.testing.assert_close(found.logits, own.sum(dim=0))
    if len(present) == 1:
        torch.testing.assert_close(found.logits.softmax(2), own[0].exp())


@pytest.mark.parametrize("present", [*SUBSETS, ()], ids="+".join)
def test_what_is_absent_is_not_trusted_and_says_nothing(present: tuple[str, ...]) -> None:
    torch.manual_seed(1)
    gate = ReliabilityGate(len(MODALITIES), 8)
    for parameter in gate.parameters():
        nn.init.normal_(parameter)
    there = torch.tensor([[m in present for m in MODALITIES]]).expand(4, -1)
    decisions = torch.randn(4, 3, 7).log_softmax(dim=2)
    other = torch.randn(4, 3, 7).log_softmax(dim=2)
    novelty = torch.rand(4, 3) * there
    with torch.no_grad():
        trust, judged = gate(decisions, novelty, there)
        changed = torch.where(there[:, :, None], decisions, other)
        again = gate(changed, novelty, there)
    assert torch.equal(trust > 0, there)
    assert torch.equal(trust, again[0])
    assert torch.equal(judged, again[1])


def test_the_gate_sees_how_sure_how_alike_and_how_strange_decisions_are() -> None:
    gate = ReliabilityGate(3, 8)
    seen: list[Tensor] = []
    gate.hidden.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    sure = torch.full((7,), 1e-9)
    torn = sure.clone()
    sure[3], torn[3], torn[4] = 1.0, 0.5, 0.5
    decisions = torch.stack([torch.full((7,), 1 / 7), sure, torn]).log()[None]
    strange = torch.tensor([[0.0, ReliabilityGate.NEW, 1e6]])
    gate(decisions, strange, torch.ones(1, 3, dtype=torch.bool))
    chances, entropy, novelty, present, agreement = seen[0][0].split((21, 3, 3, 3, 3))
    torch.testing.assert_close(chances.view(3, 7), decisions[0].exp())
    expected = torch.tensor([math.log(7), 0.0, math.log(2)])
    torch.testing.assert_close(entropy, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(novelty, torch.tensor([0.0, 0.5, 1.0]))
    assert torch.equal(present, torch.ones(3))
    # audio and visual, audio and text, visual and text
    torch.testing.assert_close(agreement, torch.tensor([1 / 7, 1 / 7, 0.5]))


def test_one_modality_alone_has_a_gate() -> None:
    net = make_model(modalities=("text",))
    batch = collate([make_dialogue(2, 3, ("text",))], DIMS)
    with torch.no_grad():
        found = net(batch)
    assert torch.isfinite(found.logits).all()
    torch.testing.assert_close(found.modality_weights[..., 2], torch.ones(1, 2))


@pytest.mark.parametrize("name", MODALITIES)
def test_the_baseline_of_an_absent_modality_changes_nothing(name: str) -> None:
    net = make_model()
    turns = make_dialogue(3, 6, tuple(m for m in MODALITIES if m != name))
    known = [replace(t, baselines={**t.baselines, name: make_baseline(name, 5, 1)}) for t in turns]
    with torch.no_grad():
        without, with_it = net(collate([turns], DIMS)), net(collate([known], DIMS))
    assert torch.equal(without.logits, with_it.logits)
    assert torch.equal(without.modality_weights, with_it.modality_weights)


def test_trust_that_is_set_depends_on_novelty_alone() -> None:
    torch.manual_seed(0)
    gate = ReliabilityGate(3, 8)
    gate.set_trust((1.0, 0.7, 1.0), (0.1, 0.5, 1.0))
    decisions = torch.randn(4, 3, 7).log_softmax(dim=2)
    novelty = torch.tensor([[0.0] * 3, [1e6] * 3, [1e6, 0.0, 0.0], [ReliabilityGate.NEW] * 3])
    present = torch.tensor([[True] * 3] * 3 + [[True, False, True]])
    trust, _ = gate(decisions, novelty, present)
    expected = [[1.0, 0.7, 1.0], [0.1, 0.5, 1.0], [0.1, 0.7, 1.0]]
    torch.testing.assert_close(trust[:3], torch.tensor(expected), atol=1e-3, rtol=0)
    assert 0.1 < trust[3, 0] < 1.0
    assert trust[3, 1] == 0.0
