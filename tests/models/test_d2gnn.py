"""D2GNN: each equation against plain loops; what a turn can and cannot depend on."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from model_factory import DIMS, SHAPES, SMALL, make_dialogue
from torch import Tensor, nn

from avt_memocmt.config import MODALITIES
from avt_memocmt.data.dialogue_batch import (
    DialogueBatch,
    TurnFeatures,
    collate,
    speaker_numbers,
)
from avt_memocmt.models.d2gnn import D2gnn
from avt_memocmt.models.decoupling import (
    Distillation,
    InformationBottleneck,
    kept_information,
    label_information,
    prototype_contrast,
)
from avt_memocmt.models.dialogue_graph import DialogueGraph, RelationalLayer, relations

WINDOW = 3
SPEAKERS = torch.tensor([[0, 1, 0, -1, -1, 0], [0, 0, 1, -1, -1, -1]])
REAL = torch.tensor([[True] * 6, [True, True, True, False, False, False]])


def make_network(causal: bool = True) -> D2gnn:
    torch.manual_seed(0)
    network = D2gnn(SHAPES, SMALL.model_copy(update={"causal": causal}))
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    return network.eval()


def spoken(turns: int, seed: int, speakers: str) -> list[TurnFeatures]:
    return [
        replace(turn, speaker=speakers[i % len(speakers)])
        for i, turn in enumerate(make_dialogue(turns, seed))
    ]


def heard_by(batch: int, hearer: int, relation: int, causal: bool) -> list[int]:
    """The turns that a turn hears by one relation, by its definition."""
    found = []
    for other in range(SPEAKERS.shape[1]):
        ahead = other - hearer
        if not (REAL[batch, hearer] and REAL[batch, other]) or abs(ahead) >= WINDOW:
            continue
        if causal and ahead > 0:
            continue
        speaker = int(SPEAKERS[batch, hearer])
        same = ahead == 0 or (speaker >= 0 and speaker == int(SPEAKERS[batch, other]))
        if relation == (0 if same else 2) + (1 if ahead > 0 else 0):
            found.append(other)
    return found


@pytest.mark.parametrize("causal", [True, False])
def test_a_turn_hears_its_window_by_speaker_and_order(causal: bool) -> None:
    edges = relations(SPEAKERS, REAL, WINDOW, causal)
    expected = torch.zeros_like(edges)
    for batch, relation, hearer, _ in np.ndindex(tuple(edges.shape)):
        heard = heard_by(batch, hearer, relation, causal)
        for other in heard:
            expected[batch, relation, hearer, other] = 1 / len(heard)
    assert torch.equal(edges, expected)
    assert edges[0].sum(dim=2).count_nonzero() > (8 if causal else 16)


def test_a_relational_layer_sums_means_of_neighbours_by_relation() -> None:
    torch.manual_seed(0)
    layer = RelationalLayer(4)
    contexts, parts = torch.randn(2, 6, 4), torch.randn(2, 6, 4)
    with torch.no_grad():
        found, told = layer(contexts, parts, relations(SPEAKERS, REAL, WINDOW, causal=False))
        for batch, hearer in np.ndindex(2, 6):
            expected = layer.own.weight @ contexts[batch, hearer] + layer.own.bias
            for relation, source in enumerate((contexts, contexts, parts, parts)):
                heard = heard_by(batch, hearer, relation, causal=False)
                for other in heard:
                    message = source[batch, other] @ layer.by_relation[relation]
                    expected = expected + message / len(heard)
            assert torch.allclose(found[batch, hearer], expected, atol=1e-5)
        assert torch.allclose(told, layer.own(parts))


def test_the_graph_reaches_two_windows_and_no_further() -> None:
    torch.manual_seed(0)
    graph = DialogueGraph(4)
    contexts = torch.randn(1, 9, 4, requires_grad=True)
    parts = torch.randn(1, 9, 4, requires_grad=True)
    speakers, real = torch.tensor([[0, 1] * 4 + [0]]), torch.ones(1, 9, dtype=torch.bool)
    out = graph(contexts, parts, relations(speakers, real, WINDOW, causal=True))
    out[0, 7, 0].backward()
    reached = (contexts.grad[0].abs().sum(1) + parts.grad[0].abs().sum(1)).bool().tolist()
    assert reached == [3 <= turn <= 7 for turn in range(9)]


def test_distillation_weighs_the_modalities_that_are_there() -> None:
    torch.manual_seed(0)
    distil = Distillation(MODALITIES, 4)
    joint, parts = torch.randn(3, 4), {m: torch.randn(3, 4) for m in MODALITIES}
    present = torch.tensor([[True, True, True], [True, False, True], [False, False, False]])
    with torch.no_grad():
        found = distil(joint, parts, present)
        for row in range(3):
            scores = {
                m: math.exp(
                    torch.tanh(
                        distil.score[m](
                            torch.cat([distil.joint(joint[row]), distil.own[m](parts[m][row])])
                        )
                    )
                )
                for m, there in zip(MODALITIES, present[row].tolist(), strict=True)
                if there
            }
            expected = joint[row].clone()
            for m, score in scores.items():
                expected += score / sum(scores.values()) * parts[m][row]
            assert torch.allclose(found[row], expected, atol=1e-5)


def test_the_bound_on_the_label_compares_every_pair_of_turns() -> None:
    logits, labels = torch.randn(5, 7), torch.tensor([0, 0, 3, 6, 2])
    guess = logits.log_softmax(dim=1)
    own = sum(float(guess[i, labels[i]]) for i in range(5)) / 5
    pairs = sum(float(guess[i, labels[j]]) for i in range(5) for j in range(5)) / 25
    found = label_information(logits, torch.eye(7)[labels])
    assert float(found) == pytest.approx(own - pairs, abs=1e-5)
    nothing = label_information(logits[:1].expand(5, -1), torch.eye(7)[labels])
    assert float(nothing) == pytest.approx(0.0, abs=1e-6)


def test_the_bound_on_what_is_kept_is_the_divergence_of_pairs() -> None:
    joint, apart = torch.tensor([[0.3], [-2.0]]), torch.tensor([[1.0], [0.5]])
    expected = sum(-math.log1p(math.exp(-float(t))) / 2 for t in joint)
    expected -= sum(math.log1p(math.exp(float(t))) / 2 for t in apart)
    assert float(kept_information(joint, apart)) == pytest.approx(expected, abs=1e-6)
    certain = kept_information(torch.full((4, 1), 50.0), torch.full((4, 1), -50.0))
    assert -1e-6 < float(certain) <= 0


def test_the_bottleneck_is_the_bounds_and_the_fit_of_its_classifier() -> None:
    torch.manual_seed(0)
    bottleneck = InformationBottleneck(4)
    x, z, targets = torch.randn(6, 4), torch.randn(6, 4, requires_grad=True), torch.eye(7)[:6]
    torch.manual_seed(1)
    found = bottleneck(x, z, targets)
    torch.manual_seed(1)
    other = z[torch.randperm(6)]
    scores = [bottleneck.critic(torch.cat([x, y], dim=1)) for y in (z, other)]
    logits = bottleneck.label(z)
    told = label_information(logits, targets) - 10 * kept_information(*scores)
    fit = nn.functional.cross_entropy(logits, targets)
    assert found.item() == pytest.approx((told + fit).item(), rel=1e-5)
    # The classifier learns to fit alone, and what it fits learns to tell it nothing.
    (by_label,) = torch.autograd.grad(found, bottleneck.label[2].weight, retain_graph=True)
    (of_fit,) = torch.autograd.grad(fit, bottleneck.label[2].weight, retain_graph=True)
    assert torch.allclose(by_label, of_fit, atol=1e-6)
    (by_z,) = torch.autograd.grad(found, z, retain_graph=True)
    (of_told,) = torch.autograd.grad(told, z)
    assert torch.allclose(by_z, of_told, atol=1e-6)


def test_the_contrast_takes_each_emotion_to_its_prototype() -> None:
    features, prototypes = torch.randn(5, 3), torch.randn(7, 3)
    labels = [0, 0, 4, 1, 4]
    losses = []
    for emotion in range(7):
        mean = sum((features[i] for i in range(5) if labels[i] == emotion), torch.zeros(3)) / 5
        products = [math.exp(float(mean @ prototype)) for prototype in prototypes]
        losses.append(-math.log(products[emotion] / sum(products)))
    found = prototype_contrast(features, prototypes, torch.eye(7)[labels])
    assert float(found) == pytest.approx(sum(losses) / 7, abs=1e-5)


def test_the_losses_are_those_of_labelled_turns_and_present_modalities() -> None:
    network = make_network()
    for decoupling in network.decouplings.values():
        nn.init.zeros_(decoupling.bottleneck.critic[2].weight)  # no chance in the pairs
    dialogue = spoken(3, 1, "AB")
    faceless = [turn.only(("audio", "text")) for turn in dialogue]
    labels = torch.eye(7)[[2, 0, 5]]

    def losses(turns: list[TurnFeatures], targets: Tensor) -> dict[str, float]:
        with torch.no_grad():
            found = network(collate([turns], DIMS).with_targets(targets)).losses
        return {name: float(value) for name, value in found.items()}

    assert set(losses(dialogue, labels)) == {"joint", "reconstruction", "bottleneck", "contrast"}
    assert network(collate([dialogue], DIMS)).losses == {}
    # Past-only, a later turn without a label says nothing of what is learned from the others.
    unlabelled = torch.cat([labels[:2], torch.zeros(1, 7)])
    whole, part = losses(dialogue[:2], labels[:2]), losses(dialogue, unlabelled)
    assert part == pytest.approx(whole, rel=1e-4)
    batch = collate([faceless], DIMS).with_targets(labels)
    network.zero_grad()
    sum(network(batch).losses.values()).backward()
    unseen = network.decouplings["visual"]
    assert all(p.grad is None or not p.grad.any() for p in unseen.parameters())


def test_the_two_parts_rebuild_the_vector() -> None:
    decoupling = make_network().decouplings["text"]
    vectors = torch.randn(4, SMALL.dim)
    with torch.no_grad():
        parts = decoupling(vectors)
        rebuilt = decoupling.decoder(torch.cat([parts.aware, parts.agnostic], dim=1))
        found = decoupling.losses(vectors, parts, torch.eye(7)[:4])["reconstruction"]
        assert torch.allclose(parts.logits, decoupling.classify(parts.aware))
    assert float(found) == pytest.approx(float(((rebuilt - vectors) ** 2).mean()), rel=1e-5)


def influence(network: D2gnn, of: int, turns: int = 5) -> list[bool]:
    """Which turns' tokens the decision on one turn depends on."""
    batch = collate([spoken(turns, 3, "AB")], DIMS)
    for part in batch.modalities.values():
        part.values.requires_grad_()
    network(batch).logits[0, of].square().sum().backward()
    gradients = [part.values.grad[0].flatten(1) for part in batch.modalities.values()]
    return torch.cat(gradients, dim=1).abs().sum(dim=1).bool().tolist()


def test_past_only_no_gradient_comes_from_a_later_turn() -> None:
    for turn in range(5):
        assert influence(make_network(), turn) == [other <= turn for other in range(5)]
        assert influence(make_network(causal=False), turn) == [True] * 5


@pytest.mark.parametrize("causal", [True, False])
def test_padding_and_other_dialogues_cannot_change_a_decision(causal: bool) -> None:
    network = make_network(causal)
    short, long = spoken(2, 3, "AB"), spoken(6, 4, "ABC")
    with torch.no_grad():
        alone = network(collate([short], DIMS)).logits[0]
        for order in ([long, short], [short, long]):
            batch = collate(order, DIMS)
            row = order.index(short)
            for spoiled in (batch, spoiled_padding(batch)):
                assert torch.allclose(network(spoiled).logits[row, :2], alone, atol=1e-5)


def spoiled_padding(batch: DialogueBatch) -> DialogueBatch:
    """The same real turns, with tokens and speakers at padding."""
    hole = ~batch.turn_mask
    parts = {
        m: replace(
            part,
            values=torch.where(hole[..., None, None], 9.0, part.values),
            mask=part.mask | hole[..., None],
        )
        for m, part in batch.modalities.items()
    }
    return replace(batch, modalities=parts, speakers=batch.speakers.masked_fill(hole, 0))


def test_who_speaks_matters_and_what_they_are_called_does_not() -> None:
    network = make_network()

    def logits(speakers: str) -> Tensor:
        with torch.no_grad():
            found: Tensor = network(collate([spoken(4, 5, speakers)], DIMS)).logits
        return found

    assert torch.equal(logits("ABAC"), logits("XYXZ"))
    assert (logits("ABAC") - logits("AAAC")).abs().max() > 1e-3


def test_speakers_are_numbered_as_they_appear() -> None:
    assert speaker_numbers(["B", None, "A", "B"]) == [0, -1, 1, 0]
