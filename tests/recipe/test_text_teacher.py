"""The larger network that teaches the text encoder, and what is made of its probabilities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_encoders import save_tiny_mpnet
from torch.nn import functional as F

from avt_memocmt.config import TextConfig
from avt_memocmt.config_file import EMBEDDED_PRESET, load_config
from avt_memocmt.data.dialogue_batch import TurnFeatures
from avt_memocmt.data.index import UtteranceKey
from avt_memocmt.data.labelled_dialogues import LabelledDialogue
from avt_memocmt.errors import AvtError
from avt_memocmt.features.text_encoder import ContextTurn, TextEncoder, TextInput
from avt_memocmt.models.predict import predict_dialogues
from avt_memocmt.recipe.settings import Job, TeacherConfig, load_recipe
from avt_memocmt.recipe.text import soft_target_lines
from avt_memocmt.recipe.text_teacher import (
    UpperLayers,
    load_teacher,
    lower_layers,
    teacher_probabilities,
)
from avt_memocmt.training.losses import class_weights

INPUTS = [
    (TextInput("oh my god", (ContextTurn("what is it", False),)), 1),
    (TextInput("no"), 6),
    (TextInput("yes we go", (ContextTurn("good", True), ContextTurn("so", False))), 4),
    (TextInput("bad", (ContextTurn("oh no", True),)), 3),
]
LINES = [
    LabelledDialogue(
        (UtteranceKey("train", number, 0),), (TurnFeatures(words=words),), np.array([label])
    )
    for number, (words, label) in enumerate(INPUTS)
]
RECIPE = load_recipe()
TEACHER = RECIPE.text_teacher


@pytest.fixture
def mpnet(tmp_path: Path) -> str:
    return str(save_tiny_mpnet(tmp_path / "mpnet"))


@pytest.fixture
def text() -> TextConfig:
    return load_config(EMBEDDED_PRESET).text


def make_job(work: Path, teacher: str, settings: TeacherConfig = TEACHER) -> Job:
    recipe = RECIPE.model_copy(update={"text_teacher": settings})
    return Job(Path(), work, recipe, load_config(EMBEDDED_PRESET), teacher=teacher)


def whole_network(encoder: TextEncoder, head: torch.nn.Linear) -> torch.Tensor:
    """Logits of `LINES` by the network that was not cut in two."""
    tokens, mask = encoder(encoder.prepare([words for words, _ in INPUTS]))
    weights = mask.float() / mask.sum(dim=1, keepdim=True)
    return head((tokens * weights[:, :, None]).sum(dim=1))


@torch.no_grad()
def test_lower_and_upper_layers_are_the_whole_network(
    mpnet: str, text: TextConfig, tmp_path: Path
) -> None:
    encoder = load_teacher(mpnet, text)
    lines = lower_layers(LINES, encoder, TEACHER.tuned_layers, tmp_path / "states")
    upper = UpperLayers(load_teacher(mpnet, text), TEACHER.tuned_layers).eval()
    assert len(upper.layers.layer) == TEACHER.tuned_layers
    expected = whole_network(encoder, upper.head)
    # The lower layers run in bfloat16, and their output is kept in half precision.
    for rows in ([0, 1, 2, 3], [2]):
        found = predict_dialogues(upper, [lines[row] for row in rows], upper.dims).logits
        torch.testing.assert_close(found, expected[rows], atol=0.02, rtol=0.02)
    assert (expected[0] - expected[1]).abs().max() > 0.05


def test_the_teachers_learn_and_their_mean_judges_every_line(
    mpnet: str, text: TextConfig, tmp_path: Path
) -> None:
    rates = {"learning_rate": 0.005, "encoder_learning_rate": 0.005}
    settings = TEACHER.model_copy(update=rates)  # a network this small needs larger steps
    work = tmp_path / "work"
    job = make_job(work, mpnet, settings)
    found = teacher_probabilities(job, 200 * LINES, LINES)
    assert found.shape == (800, 7)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(found[:4], found[4:8], atol=0.02)
    assert found[:4].argmax(axis=1).tolist() == [label for _, label in INPUTS]
    again = teacher_probabilities(job, 200 * LINES, LINES)
    np.testing.assert_allclose(again, found, atol=1e-6)
    encoder = load_teacher(mpnet, text)
    lines = lower_layers(LINES, encoder, TEACHER.tuned_layers, tmp_path / "few")
    model, alone = UpperLayers(encoder, TEACHER.tuned_layers), []
    for run in range(TEACHER.runs):
        model.load_state_dict(load_file(work / f"text_teacher_{run}" / "best.safetensors"))
        logits = predict_dialogues(model.eval(), lines, model.dims).logits
        alone.append(logits.softmax(dim=1).numpy())
    np.testing.assert_allclose(np.mean(alone, axis=0), found[:4], atol=0.02)
    assert np.abs(alone[0] - alone[1]).max() > 0.001


def test_a_missing_teacher_is_named(tmp_path: Path) -> None:
    with pytest.raises(AvtError, match="no-such-folder"):
        teacher_probabilities(make_job(tmp_path, str(tmp_path / "no-such-folder")), LINES, LINES)


def test_targets_mix_label_and_opinion() -> None:
    probabilities = np.full((4, 7), 1 / 7, np.float32)
    soft_targets = soft_target_lines(LINES, probabilities, RECIPE.text)
    labels = torch.tensor([label for _, label in INPUTS])
    targets = torch.from_numpy(np.concatenate([line.targets for line in soft_targets]))
    logits = torch.randn(4, 7)
    weights = class_weights(labels.numpy(), RECIPE.text.class_balance)
    # What F.cross_entropy makes of smoothed, weighted labels is the same sum.
    label_loss = -(weights[labels] * (logits.log_softmax(1) * smooth(labels)).sum(1)).mean()
    opinion_loss = F.cross_entropy(logits, torch.from_numpy(probabilities))
    share = RECIPE.text.distillation
    expected = (1 - share) * label_loss + share * opinion_loss
    torch.testing.assert_close(F.cross_entropy(logits, targets), expected)
    assert [line.turns for line in soft_targets] == [line.turns for line in LINES]


def smooth(labels: torch.Tensor) -> torch.Tensor:
    """One-hot labels of which a twentieth is spread over all seven."""
    return 0.95 * F.one_hot(labels, 7).float() + 0.05 / 7
