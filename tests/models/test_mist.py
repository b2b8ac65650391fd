"""MIST: its convolutions against plain loops, and who learns from what."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from model_factory import DIMS, SHAPES, SMALL, make_dialogue
from numpy.typing import NDArray
from torch import Tensor, nn

from avt_memocmt.config import MODALITIES, TokenShape
from avt_memocmt.data.dialogue_batch import TurnFeatures, collate
from avt_memocmt.models.mist import Branch, Mist, MotionBranch, SpeechBranch, weighted_mean


def make_network(shapes: dict[str, TokenShape] = SHAPES) -> Mist:
    torch.manual_seed(0)
    network = Mist(shapes, SMALL)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    return network.eval()


def convolved(tokens: NDArray[np.float32], convolution: nn.Conv1d) -> NDArray[np.float32]:
    """ReLU of a convolution along time with zeros around, written out: [tokens, dim]."""
    weight, bias = (x.detach().numpy() for x in (convolution.weight, convolution.bias))
    reach = weight.shape[2] // 2
    found = []
    for place in range(len(tokens)):
        total = bias.copy()
        for step in range(-reach, reach + 1):
            if 0 <= place + step < len(tokens):
                total += weight[:, :, step + reach] @ tokens[place + step]
        found.append(np.maximum(total, 0))
    return np.stack(found)


def vector_of(branch: Branch, tokens: Tensor, padding: int = 0) -> NDArray[np.float32]:
    """What a branch makes of [tokens, dim], padded by random numbers."""
    padded = torch.cat([tokens, torch.randn(padding, tokens.shape[1])])[None]
    mask = (torch.arange(padded.shape[1]) < len(tokens))[None]
    with torch.no_grad():
        return branch.pool(padded, mask)[0][0].numpy()


@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_speech_is_convolved_and_pooled_twice_and_averaged(count: int) -> None:
    branch = make_network().branches["audio"]
    assert isinstance(branch, SpeechBranch)
    tokens = torch.randn(count, SMALL.dim)
    expected = tokens.numpy()
    for convolution in branch.convolutions:
        expected = convolved(expected, convolution)
        expected = np.stack([expected[i : i + 2].max(0) for i in range(0, len(expected), 2)])
    for padding in (0, 1, 6):
        found = vector_of(branch, tokens, padding)
        np.testing.assert_allclose(found, expected.mean(0), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("count", [2, 3, 7])
def test_motion_is_a_convolution_of_the_differences_of_faces(count: int) -> None:
    branch = make_network().branches["motion"]
    assert isinstance(branch, MotionBranch)
    tokens = torch.randn(count, SMALL.dim)
    differences = np.stack([(tokens[i + 1] - tokens[i]).numpy() for i in range(count - 1)])
    expected = convolved(differences, branch.convolution).mean(0)
    for padding in (0, 4):
        found = vector_of(branch, tokens, padding)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    still = tokens[:1].expand(count, -1)
    assert not np.allclose(vector_of(branch, still), expected)


def test_named_measurements_are_convolved_alone_and_have_no_motion() -> None:
    named = {
        "audio": TokenShape(1, names=("pitch", "level", "rate")),
        "visual": TokenShape(1, names=("AU01", "AU12")),
        "text": TokenShape(12),
    }
    network = make_network(named)
    assert set(network.branches) == set(MODALITIES)
    branch = network.branches["audio"]
    tokens = torch.randn(3, SMALL.dim)
    found, turned = vector_of(branch, tokens), vector_of(branch, tokens[[2, 0, 1]])
    np.testing.assert_allclose(found, turned, rtol=1e-5, atol=1e-5)
    expected = tokens.numpy()
    for convolution in branch.convolutions:
        expected = convolved(expected, convolution)
    np.testing.assert_allclose(found, expected.mean(0), rtol=1e-4, atol=1e-4)


def test_the_decision_is_the_weighted_mean_of_all_that_are_there() -> None:
    network = make_network()
    with torch.no_grad():
        network.scores.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]).log())  # motion is the last
        for present, faces, expected in (
            (MODALITIES, 3, [0.1, 0.6, 0.3]),
            (MODALITIES, 1, [1 / 6, 2 / 6, 3 / 6]),
            (("audio", "text"), 0, [0.25, 0.0, 0.75]),
            (("visual",), 3, [0.0, 1.0, 0.0]),
        ):
            turn = make_dialogue(1, 2, present)[0]
            if faces:
                seen = turn.tokens["visual"]
                turn.tokens["visual"] = type(seen)(seen.values[:faces], seen.spans[:faces])
            batch = collate([[turn]], DIMS)
            found = network(batch)
            assert torch.allclose(found.modality_weights[0, 0], torch.tensor(expected), atol=1e-6)
            own = torch.stack([found.unimodal_logits[m][0, 0].exp() for m in MODALITIES])
            mixture = found.modality_weights[0, 0] @ own
            assert torch.allclose(found.logits[0, 0].exp(), mixture, atol=1e-6)


def test_a_weighted_mean_is_one_of_probabilities() -> None:
    scores = torch.tensor([[1.0, 3.0]]).log()
    decisions = torch.rand(1, 2, 7).log_softmax(dim=2)
    expected = (decisions[0, 0].exp() + 3 * decisions[0, 1].exp()) / 4
    assert torch.allclose(weighted_mean(scores, decisions)[0].exp(), expected, atol=1e-6)


def test_only_the_weights_learn_from_the_joint_decision() -> None:
    network = make_network()
    batch = collate([make_dialogue(2, 1)], DIMS)
    network(batch).logits[..., 0].sum().backward()
    assert network.scores.grad.abs().min() > 0
    assert all(p.grad is None for p in network.branches.parameters())
    network(batch).unimodal_logits["visual"][..., 0].sum().backward()
    for name, learns in (("visual", True), ("motion", True), ("audio", False), ("text", False)):
        gradients = [p.grad for p in network.branches[name].parameters()]
        assert any(g is not None and g.any() for g in gradients) == learns, name


def test_a_turn_without_anything_is_decided_on_by_learned_vectors() -> None:
    network = make_network()
    with torch.no_grad():
        found = network(collate([[TurnFeatures({})]], DIMS))
        absent = network.branches["text"].inputs.absent
        assert torch.equal(found.modality_weights, torch.zeros(1, 1, 3))
        expected = network.branches["text"].head(absent).log_softmax(0)
    assert torch.allclose(found.unimodal_logits["text"][0, 0], expected, atol=1e-5)
