"""Named measurements as tokens: the formula, missing values, statistics, attention to names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from model_factory import SMALL, make_tokens

from avt_memocmt.config import Config, TokenShape
from avt_memocmt.data.dialogue_batch import DialogueBatch, TurnFeatures, collate
from avt_memocmt.features.base import Tokens
from avt_memocmt.models.attention import record_attention
from avt_memocmt.models.checkpoint import build_model, load_model, save_checkpoint, token_dims
from avt_memocmt.models.prediction import DialogueNetwork
from avt_memocmt.models.projections import NamedTokenProjection

NAMES = ("pitch", "level", "rate")
MEAN, DEVIATION = torch.tensor([200.0, 60.0, 4.0]), torch.tensor([50.0, 5.0, 2.0])
NAN = float("nan")
KINDS = ("audio-text-memocmt", "avt-late-fusion", "mist", "d2gnn", "avt-memocmt")


def make_config(kind: str) -> Config:
    return Config.model_validate(
        {
            "preset": "embedded",
            "audio": {"encoder": {"name": "whisper-tiny.en"}},
            "visual": {"encoder": {"name": "face-cnn"}},
            "text": {"encoder": {"name": "minilm-l6"}},
            "features": {
                "audio": TokenShape(dim=1, names=NAMES),
                "visual": TokenShape(dim=1, names=("AU01", "AU12")),
                "text": TokenShape(dim=12),
            },
            "model": {**SMALL.model_dump(mode="json"), "kind": kind},
        }
    )


def make_network(kind: str) -> DialogueNetwork:
    torch.manual_seed(0)
    network = build_model(make_config(kind))
    for module in network.modules():
        if isinstance(module, NamedTokenProjection) and module.modality_name == "audio":
            module.set_statistics(MEAN, DEVIATION)
    return network.eval()


def measured(*values: float) -> Tokens:
    spans = np.tile(np.array([[0.0, 1.5]], np.float32), (len(values), 1))
    return Tokens(np.array(values, np.float16)[:, None], spans)


def make_batch(pitch: float = 250.0, level: float = 55.0, words: bool = True) -> DialogueBatch:
    tokens = {"audio": measured(pitch, level, 6.0), "visual": measured(1.0, NAN)}
    if words:
        tokens["text"] = make_tokens("text", 4, 1)
    silent = TurnFeatures({})
    return collate([[TurnFeatures(tokens), silent]], token_dims(make_config("avt-memocmt")))


def test_a_token_is_the_standardised_value_times_the_embedding_of_its_name() -> None:
    project = NamedTokenProjection("audio", NAMES, 8, 0.0)
    project.set_statistics(MEAN, DEVIATION)
    values = torch.tensor([[[250.0], [55.0], [4.0]]])
    tokens, mask = project(values, torch.zeros(1, 3, 2), torch.ones(1, 3, dtype=torch.bool))
    standard = torch.tensor([1.0, -1.0, 0.0])[:, None]
    expected = standard * project.scale + project.bias + project.modality
    assert torch.allclose(tokens[0, 1:], expected, atol=1e-6)
    assert torch.allclose(tokens[0, 0], project.state[1] + project.modality)
    assert mask.all()


def test_collate_masks_what_was_not_measured() -> None:
    batch = collate([[TurnFeatures({"audio": measured(1.0, NAN, 3.0)})]], {"audio": 1})
    part = batch.modalities["audio"]
    assert part.mask.tolist() == [[[True, False, True]]]
    assert part.values.flatten().tolist() == [1.0, 0.0, 3.0]
    assert part.values.dtype == torch.float32


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_matters_where_it_is_measured_and_nowhere_else(kind: str) -> None:
    network = make_network(kind)
    with torch.no_grad():
        low, high = (network(make_batch(pitch=pitch)).logits for pitch in (150.0, 250.0))
        assert (low[0, 0] - high[0, 0]).abs().max() > 1e-4
        unknown = make_batch(level=NAN)
        clean = network(unknown).logits
        for filler in (1e4, NAN):
            unknown.modalities["audio"].values[0, 0, 1] = filler
            assert torch.equal(network(unknown).logits, clean)
    assert torch.isfinite(clean).all()


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_not_measured_spoils_no_gradient(kind: str) -> None:
    network = make_network(kind)
    batch = make_batch(level=NAN)
    batch.modalities["audio"].values[0, 0, 1] = NAN
    network(batch).logits.sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize("kind", KINDS)
def test_a_modality_without_any_measured_value_is_absent(kind: str) -> None:
    network = make_network(kind)
    dims = token_dims(make_config(kind))
    text = {"text": make_tokens("text", 4, 1)}
    unmeasured = {**text, "audio": measured(NAN, NAN, NAN)}
    with torch.no_grad():
        found = [
            network(collate([[TurnFeatures(tokens)]], dims)).logits for tokens in (text, unmeasured)
        ]
    assert torch.allclose(found[0], found[1], atol=1e-6)


def test_attention_is_over_the_names() -> None:
    network = make_network("avt-memocmt")
    parts = {m: part.flatten_turns() for m, part in make_batch().modalities.items()}
    with torch.no_grad(), record_attention(network) as maps:
        network.fuse(parts)
    weights = maps["cross_modal.layers.0.attentions.text_from_visual"]
    assert weights.shape[2:] == (1 + 4, 1 + 2)
    assert torch.equal(weights[0, :, :, 2], torch.zeros(SMALL.heads, 5))  # AU12 was not measured
    assert (weights[0, :, :, 1] > 0).all()


def test_statistics_are_saved_with_the_weights_in_full_precision(tmp_path: Path) -> None:
    network = make_network("avt-memocmt")
    network.projections["audio"].set_statistics(MEAN + 0.0123, DEVIATION)
    metrics = {"model": "x", "seed": 0, "selection": "none"}
    save_checkpoint(tmp_path, network, make_config("avt-memocmt"), metrics)
    loaded, config = load_model(tmp_path)
    assert torch.equal(loaded.projections["audio"].mean, MEAN + 0.0123)
    assert config.features["audio"].names == NAMES
    assert "named values: pitch, level, rate" in (tmp_path / "README.md").read_text()
    with torch.no_grad():
        ours, theirs = (net(make_batch()).logits for net in (network, loaded))
    assert torch.allclose(ours, theirs, atol=1e-2)
