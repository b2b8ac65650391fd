"""Class weights and the loss on dialogues, against hand-made answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from avt_memocmt.config import NetworkLosses, TrainingConfig
from avt_memocmt.data.dialogue_batch import DialogueBatch, ModalityBatch
from avt_memocmt.data.labelled_dialogues import one_hot
from avt_memocmt.models.prediction import Prediction
from avt_memocmt.training.losses import (
    class_weights,
    correct_prior,
    dialogue_loss,
    soft_cross_entropy,
)

PLAIN = TrainingConfig(label_smoothing=0.0, auxiliary_weight=0.5)
ONES = torch.ones(7)


def batch_with_audio(mask: torch.Tensor) -> DialogueBatch:
    """Dialogues whose turns have one audio token where `mask` [batch, turns] says so."""
    size, turns = mask.shape
    audio = ModalityBatch.of_tokens(
        torch.zeros(size, turns, 1, 2), torch.zeros(size, turns, 1, 2), mask[:, :, None]
    )
    turn_mask = torch.ones(size, turns, dtype=torch.bool)
    nobody = torch.full((size, turns), -1)
    return DialogueBatch({"audio": audio}, turn_mask, torch.zeros_like(nobody), nobody)


def test_weights_are_inverse_frequencies_with_mean_one() -> None:
    emotions = np.array([0] * 6 + [1] * 3 + [2])
    weights = class_weights(emotions, 1.0)
    assert weights[1] / weights[0] == pytest.approx(2.0)
    assert weights[2] / weights[0] == pytest.approx(6.0)
    assert float(weights[torch.from_numpy(emotions)].mean()) == pytest.approx(1.0)
    assert torch.equal(weights[3:], torch.ones(4))


def test_exponent_zero_and_unlabelled_turns() -> None:
    assert torch.equal(class_weights(np.array([0, 0, 1, -1]), 0.0), ONES)
    assert torch.equal(
        class_weights(np.array([0, 0, 1, -1, -1]), 0.7), class_weights(np.array([0, 0, 1]), 0.7)
    )


def test_padding_and_unlabelled_turns_do_not_count() -> None:
    targets = torch.from_numpy(one_hot(np.array([3, -1, 1])))
    assert targets.sum(dim=1).tolist() == [1, 0, 1]
    logits = torch.zeros(2, 2, 7)
    logits[0, 1] = logits[1, 1] = torch.tensor([1e4, 0, 0, 0, 0, 0, 0])
    batch = batch_with_audio(torch.zeros(2, 2, dtype=torch.bool))
    batch.turn_mask[1, 1] = False
    loss = dialogue_loss(Prediction(logits, torch.zeros(2, 2, 3), {}), batch, targets, PLAIN)
    assert float(loss) == pytest.approx(math.log(7))


def test_an_own_decision_counts_where_its_modality_is_present() -> None:
    targets = torch.from_numpy(one_hot(np.array([2, 5])))
    right = torch.zeros(1, 2, 7)
    right[0, 0, 2] = 50.0
    right[0, 1, 0] = 50.0  # wrong, but nothing was heard in that turn
    batch = batch_with_audio(torch.tensor([[True, False]]))
    uniform = torch.zeros(1, 2, 7)
    prediction = Prediction(uniform, torch.zeros(1, 2, 3), {"audio": right})
    assert float(dialogue_loss(prediction, batch, targets, PLAIN, ONES)) == pytest.approx(
        math.log(7), abs=1e-5
    )
    prediction = Prediction(uniform, torch.zeros(1, 2, 3), {"audio": uniform})
    assert float(dialogue_loss(prediction, batch, targets, PLAIN, ONES)) == pytest.approx(
        1.5 * math.log(7), abs=1e-5
    )


def test_a_batch_without_any_label_has_a_zero_loss_with_a_gradient() -> None:
    logits = torch.randn(1, 2, 7, requires_grad=True)
    batch = batch_with_audio(torch.zeros(1, 2, dtype=torch.bool))
    prediction = Prediction(logits, torch.zeros(1, 2, 3), {})
    loss = dialogue_loss(prediction, batch, torch.zeros(2, 7), PLAIN, ONES)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_weights_and_smoothing_count_as_they_do_for_labels() -> None:
    logits, labels = torch.randn(20, 7), torch.randint(7, (20,))
    weights = torch.rand(7) + 0.5
    found = soft_cross_entropy(logits, torch.from_numpy(one_hot(labels.numpy())), 0.1, weights)
    expected = functional.cross_entropy(logits, labels, weights, label_smoothing=0.1)
    assert float(found) == pytest.approx(float(expected), rel=1e-5)
    soft = torch.rand(20, 7)  # a target need not sum to 1
    expected = functional.cross_entropy(logits, soft)
    assert float(soft_cross_entropy(logits, soft, 0.0)) == pytest.approx(float(expected), rel=1e-5)


def test_a_full_correction_makes_a_prior_knowing_classifier_indifferent() -> None:
    emotions = np.array([0] * 6 + [1] * 3 + [2, -1])
    head = torch.nn.Sequential(torch.nn.Linear(4, 7))
    with torch.no_grad():
        head[0].weight.zero_()
        head[0].bias.copy_(torch.tensor([0.6, 0.3, 0.1, 1.0, 1.0, 1.0, 1.0]).log())
    correct_prior(head, emotions, 1.0)
    assert torch.allclose(head(torch.randn(1, 4)), torch.zeros(1, 7), atol=1e-6)


def test_a_networks_own_losses_are_weighted_by_their_names() -> None:
    batch = batch_with_audio(torch.zeros(1, 2, dtype=torch.bool))
    targets = torch.from_numpy(one_hot(np.array([2, 5])))
    losses = {"contrast": torch.tensor(3.0), "reconstruction": torch.tensor(0.5)}
    prediction = Prediction(torch.zeros(1, 2, 7), losses=losses)
    weights = NetworkLosses(contrast=2.0, reconstruction=4.0)
    config = PLAIN.model_copy(update={"network_losses": weights})
    loss = dialogue_loss(prediction, batch, targets, config)
    assert float(loss) == pytest.approx(math.log(7) + 2.0 * 3.0 + 4.0 * 0.5, abs=1e-5)


def test_targets_lie_at_the_real_turns_of_a_batch() -> None:
    batch = batch_with_audio(torch.zeros(2, 2, dtype=torch.bool))
    batch.turn_mask[0, 1] = False
    targets = torch.from_numpy(one_hot(np.array([3, -1, 1])))
    padded = batch.with_targets(targets).targets
    assert padded is not None
    assert padded.argmax(dim=2).tolist() == [[3, 0], [0, 1]]
    assert padded.sum(dim=2).tolist() == [[1, 0], [0, 1]]
