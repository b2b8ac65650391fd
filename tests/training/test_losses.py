"""Class weights and the loss on dialogues, against hand-made answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from avt_memocmt.config import TrainingConfig
from avt_memocmt.data.dialogue_batch import DialogueBatch, ModalityBatch
from avt_memocmt.models.prediction import Prediction
from avt_memocmt.training.losses import (
    class_weights,
    correct_prior,
    dialogue_loss,
    padded_labels,
)

PLAIN = TrainingConfig(label_smoothing=0.0, auxiliary_weight=0.5)
ONES = torch.ones(7)


def batch_with_audio(mask: torch.Tensor) -> DialogueBatch:
    """Dialogues whose turns have one audio token where `mask` [batch, turns] says so."""
    size, turns = mask.shape
    audio = ModalityBatch(
        torch.zeros(size, turns, 1, 2), torch.zeros(size, turns, 1, 2), mask[:, :, None]
    )
    turn_mask = torch.ones(size, turns, dtype=torch.bool)
    return DialogueBatch({"audio": audio}, turn_mask, torch.zeros(size, turns, dtype=torch.long))


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
    labels = padded_labels([np.array([3, -1]), np.array([1])], 2)
    assert labels.tolist() == [[3, -1], [1, -1]]
    logits = torch.zeros(2, 2, 7)
    logits[0, 1] = logits[1, 1] = torch.tensor([1e4, 0, 0, 0, 0, 0, 0])
    batch = batch_with_audio(torch.zeros(2, 2, dtype=torch.bool))
    loss = dialogue_loss(Prediction(logits, torch.zeros(2, 2, 3), {}), batch, labels, ONES, PLAIN)
    assert float(loss) == pytest.approx(math.log(7))


def test_an_own_decision_counts_where_its_modality_is_present() -> None:
    labels = torch.tensor([[2, 5]])
    right = torch.zeros(1, 2, 7)
    right[0, 0, 2] = 50.0
    right[0, 1, 0] = 50.0  # wrong, but nothing was heard in that turn
    batch = batch_with_audio(torch.tensor([[True, False]]))
    uniform = torch.zeros(1, 2, 7)
    prediction = Prediction(uniform, torch.zeros(1, 2, 3), {"audio": right})
    assert float(dialogue_loss(prediction, batch, labels, ONES, PLAIN)) == pytest.approx(
        math.log(7), abs=1e-5
    )
    prediction = Prediction(uniform, torch.zeros(1, 2, 3), {"audio": uniform})
    assert float(dialogue_loss(prediction, batch, labels, ONES, PLAIN)) == pytest.approx(
        1.5 * math.log(7), abs=1e-5
    )


def test_a_batch_without_any_label_has_a_zero_loss_with_a_gradient() -> None:
    logits = torch.randn(1, 2, 7, requires_grad=True)
    batch = batch_with_audio(torch.zeros(1, 2, dtype=torch.bool))
    prediction = Prediction(logits, torch.zeros(1, 2, 3), {})
    loss = dialogue_loss(prediction, batch, torch.full((1, 2), -1), ONES, PLAIN)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_a_full_correction_makes_a_prior_knowing_classifier_indifferent() -> None:
    emotions = np.array([0] * 6 + [1] * 3 + [2, -1])
    head = torch.nn.Sequential(torch.nn.Linear(4, 7))
    with torch.no_grad():
        head[0].weight.zero_()
        head[0].bias.copy_(torch.tensor([0.6, 0.3, 0.1, 1.0, 1.0, 1.0, 1.0]).log())
    correct_prior(head, emotions, 1.0)
    assert torch.allclose(head(torch.randn(1, 4)), torch.zeros(1, 7), atol=1e-6)
