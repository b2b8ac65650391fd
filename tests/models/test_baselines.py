"""The compared networks: masks, subsets, the formulas they stand for, and their checkpoints."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from model_factory import DIMS, SHAPES, SMALL, make_dialogue, spoil_masked
from torch import Tensor, nn
from torch.nn import functional as F

from avt_memocmt.config import MODALITIES, Config, ModelConfig, TokenShape
from avt_memocmt.data.dialogue_batch import TurnFeatures, collate
from avt_memocmt.data.index import UtteranceKey
from avt_memocmt.data.labelled_dialogues import LabelledDialogue
from avt_memocmt.errors import AvtError
from avt_memocmt.models.baselines import AudioTextMemoCmt, LateFusion, TextOnly, pool_tokens
from avt_memocmt.models.checkpoint import (
    build_model,
    load_media_model,
    load_model,
    save_checkpoint,
    token_dims,
)
from avt_memocmt.models.predict import predict_dialogues
from avt_memocmt.models.prediction import DialogueNetwork

BY_THEMSELVES = ("text-only", "audio-text-memocmt", "avt-late-fusion", "mist")
"""The networks that judge a turn by itself."""
BASELINES = (*BY_THEMSELVES, "d2gnn")
KINDS = (*BASELINES, "avt-memocmt")
SUBSETS = [s for n in (0, 1, 2, 3) for s in combinations(MODALITIES, n)]


def make_config(kind: str, **settings: object) -> Config:
    return Config.model_validate(
        {
            "preset": "embedded",
            "audio": {"encoder": {"name": "whisper-tiny.en"}},
            "visual": {"encoder": {"name": "face-cnn"}},
            "text": {"encoder": {"name": "minilm-l6"}},
            "features": {
                "audio": {"dim": 6, "layers": 3},
                "visual": {"dim": 10},
                "text": {"dim": 12},
            },
            "model": {**SMALL.model_dump(mode="json"), "kind": kind, **settings},
        }
    )


def make_network(kind: str, **settings: object) -> DialogueNetwork:
    torch.manual_seed(0)
    network = build_model(make_config(kind, **settings))
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    return network.eval()


@pytest.mark.parametrize("kind", BASELINES)
@pytest.mark.parametrize("present", SUBSETS, ids="+".join)
@pytest.mark.parametrize("filler", [1e4, float("nan")])
def test_values_of_masked_tokens_cannot_change_the_output(
    kind: str, present: tuple[str, ...], filler: float
) -> None:
    network = make_network(kind)
    batch = collate([make_dialogue(3, 1, present), make_dialogue(2, 5, present)], DIMS)
    spoiled = {m: spoil_masked(part, filler) for m, part in batch.modalities.items()}
    with torch.no_grad():
        clean = network(batch).logits
        changed = network(replace(batch, modalities=spoiled)).logits
    assert torch.isfinite(clean).all()
    assert torch.equal(clean, changed)


@pytest.mark.parametrize("pooling", ["cls", "mean", "max", "min"])
@pytest.mark.parametrize("kind", BY_THEMSELVES)
def test_batch_mates_and_other_turns_cannot_change_a_decision(kind: str, pooling: str) -> None:
    network = make_network(kind, pooling=pooling)
    short, long = make_dialogue(2, 3), make_dialogue(6, 4)
    with torch.no_grad():
        alone = network(collate([short[1:]], DIMS)).logits[0, 0]
        together = network(collate([long, short], DIMS)).logits[1, 1]
    assert torch.allclose(alone, together, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("present", SUBSETS, ids="+".join)
def test_every_parameter_gets_a_gradient_whatever_is_present(
    kind: str, present: tuple[str, ...]
) -> None:
    # Training in several processes waits for the gradient of every parameter.
    network = make_network(kind).train()
    batch = collate([make_dialogue(3, 1, present)], DIMS).with_targets(torch.eye(7)[:3])
    prediction = network(batch)
    added = [*prediction.unimodal_logits.values(), *prediction.losses.values()]
    loss = prediction.logits.sum() + sum(x.sum() for x in added)
    loss.backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize("kind", KINDS)
def test_bf16_autocast_gives_nearly_the_same_decision(kind: str) -> None:
    torch.manual_seed(0)
    network = build_model(make_config(kind)).eval()
    batch = collate([make_dialogue(3, 1), make_dialogue(2, 2, ())], DIMS)
    with torch.no_grad():
        exact = network(batch).logits.softmax(2)
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(batch).logits.float().softmax(2)
    assert torch.allclose(exact[batch.turn_mask], rough[batch.turn_mask], atol=0.03)


def test_text_only_is_a_linear_layer_on_the_mean_of_the_tokens() -> None:
    network = TextOnly(SHAPES, ModelConfig(dropout=0.5)).eval()
    turn = make_dialogue(1)[0]
    with torch.no_grad():
        logits = network(collate([[turn, TurnFeatures({})]], DIMS)).logits[0]
        linear = network.head[1]
        mean = torch.from_numpy(turn.tokens["text"].values.mean(axis=0))
        assert torch.allclose(logits[0], linear(mean), atol=1e-5)
        assert torch.allclose(logits[1], linear(network.absent), atol=1e-5)


def multihead(ours: nn.Module, dim: int, heads: int) -> nn.MultiheadAttention:
    reference = nn.MultiheadAttention(dim, heads, batch_first=True).eval()
    with torch.no_grad():
        parts = (ours.query, ours.key, ours.value)
        reference.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        reference.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        reference.out_proj.load_state_dict(ours.out.state_dict())
    return reference


def published_memocmt(network: AudioTextMemoCmt, audio: Tensor, text: Tensor, how: str) -> Tensor:
    """The paper's network without masks, from [1, tokens, dim] of both modalities."""
    parts = []
    for cross, queries, keys in (
        (network.audio_from_text, audio, text),
        (network.text_from_audio, text, audio),
    ):
        attention = multihead(cross.attention, SMALL.dim, SMALL.heads)
        linear, norm, _ = cross.after
        heard = F.linear(attention(queries, keys, keys)[0], linear.weight, linear.bias)
        parts.append(F.layer_norm(heard, (SMALL.dim,), norm.weight, norm.bias))
    tokens = torch.cat(parts, dim=1)
    pooled = {
        "cls": tokens[:, 0],
        "mean": tokens.mean(1),
        "max": tokens.max(1).values,
        "min": tokens.min(1).values,
    }[how]
    _, hidden, _, _, last = network.head
    return last(F.leaky_relu(hidden(pooled)))


@pytest.mark.parametrize("how", ["cls", "mean", "max", "min"])
@pytest.mark.parametrize("width", [SMALL.dim, 20], ids=["raw", "resized"])
def test_memocmt_with_one_utterance_equals_the_maskless_network(how: str, width: int) -> None:
    torch.manual_seed(0)
    shapes = {"audio": TokenShape(width), "text": TokenShape(width)}
    network = AudioTextMemoCmt(shapes, SMALL.model_copy(update={"pooling": how})).eval()
    assert network.head[1].out_features == 128
    dims = {"audio": width, "text": width}
    generator = np.random.default_rng(1)
    turn = make_dialogue(1)[0]
    tokens = {
        m: type(turn.tokens[m])(
            generator.normal(size=(len(turn.tokens[m]), width)).astype(np.float32),
            turn.tokens[m].spans,
        )
        for m in dims
    }
    batch = collate([[TurnFeatures(tokens)]], dims)
    with torch.no_grad():
        found = network(batch).logits[0]
        audio, text = (
            network.inputs[m].resize(batch.modalities[m].values[0]) for m in ("audio", "text")
        )
        expected = published_memocmt(network, audio, text, how)
    assert torch.allclose(found, expected, atol=1e-5)


def test_pooling_leaves_masked_tokens_out() -> None:
    tokens = torch.tensor([[[9.0], [1.0], [2.0], [-9.0]]])
    mask = torch.tensor([[False, True, True, False]])
    found = {how: float(pool_tokens(tokens, mask, how)) for how in ("cls", "mean", "max", "min")}
    assert found == {"cls": 1.0, "mean": 1.5, "max": 2.0, "min": 1.0}


def test_late_fusion_averages_probabilities_by_learned_weights() -> None:
    network = make_network("avt-late-fusion")
    with torch.no_grad():
        network.scores.copy_(torch.tensor([1.0, 2.0, 3.0]).log())
        for present, expected in (
            (MODALITIES, [1 / 6, 2 / 6, 3 / 6]),
            (("audio", "text"), [1 / 4, 0.0, 3 / 4]),
            (("visual",), [0.0, 1.0, 0.0]),
        ):
            found = network(collate([make_dialogue(1, 2, present)], DIMS))
            assert torch.allclose(found.modality_weights[0, 0], torch.tensor(expected), atol=1e-6)
            decisions = torch.stack([found.unimodal_logits[m][0, 0].softmax(0) for m in MODALITIES])
            mixture = (found.modality_weights[0, 0][:, None] * decisions).sum(0)
            assert torch.allclose(found.logits[0, 0].exp(), mixture, atol=1e-6)


def test_late_fusion_hears_the_modalities_of_its_config_alone() -> None:
    network = make_network("avt-late-fusion", modalities=["audio", "text"])
    assert isinstance(network, LateFusion)
    with torch.no_grad():
        with_faces = network(collate([make_dialogue(2, 3)], DIMS))
        without = network(collate([make_dialogue(2, 3)], {m: DIMS[m] for m in ("audio", "text")}))
    assert torch.equal(with_faces.logits, without.logits)
    assert torch.equal(with_faces.modality_weights[..., 1], torch.zeros(1, 2))


def test_a_kind_without_a_modality_it_needs_is_an_error() -> None:
    with pytest.raises(AvtError, match=r"text-only needs text.*leaves out text"):
        build_model(make_config("text-only", modalities=["audio"]))
    with pytest.raises(AvtError, match="leaves out audio"):
        build_model(make_config("audio-text-memocmt", modalities=["text", "visual"]))


def test_shapes_of_modalities_that_are_not_heard_are_not_asked_for() -> None:
    config = make_config("text-only", modalities=["text"])
    nowhere = config.audio.encoder.model_copy(update={"name": "/nowhere"})
    config = config.model_copy(
        update={
            "audio": config.audio.model_copy(update={"encoder": nowhere}),
            "features": {"text": TokenShape(dim=12)},
        }
    )
    assert isinstance(build_model(config), TextOnly)


def make_labelled(turns: int, seed: int, present: tuple[str, ...] = MODALITIES) -> LabelledDialogue:
    features = tuple(make_dialogue(turns, seed, present))
    keys = tuple(UtteranceKey("dev", seed, turn) for turn in range(turns))
    return LabelledDialogue(keys, features, np.zeros(turns, np.int64))


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_do_not_depend_on_the_batching_and_keep_the_order(kind: str) -> None:
    network = make_network(kind)
    dialogues = [make_labelled(1 + (5 * i) % 7, i) for i in range(9)]
    dialogues.append(make_labelled(2, 50, ("visual",)))
    dialogues.append(make_labelled(3, 51, ()))
    dims = token_dims(make_config(kind))
    alone, some, together = (
        predict_dialogues(network, dialogues, dims, budget).logits for budget in (1, 60, 10_000)
    )
    assert torch.allclose(alone, some, atol=1e-5)
    assert torch.allclose(alone, together, atol=1e-5)
    one_by_one = [predict_dialogues(network, [dialogue], dims).logits for dialogue in dialogues]
    assert [len(logits) for logits in one_by_one] == [len(d.turns) for d in dialogues]
    assert torch.allclose(torch.cat(one_by_one), some, atol=1e-5)
    assert together.dtype == torch.float32
    assert together.isfinite().all()


METRICS = {"model": "a name", "seed": 3, "selection": "best epoch", "dev": {"uar": 0.25}}


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_checkpoint_loads_to_the_same_decisions(kind: str, tmp_path: Path) -> None:
    network = make_network(kind, modalities=["audio", "text"])
    config = make_config(kind, modalities=["audio", "text"])
    for _ in range(2):  # the second time over the first
        save_checkpoint(tmp_path, network, config, METRICS, {"e.safetensors": {"w": torch.ones(2)}})
    names = {"model.safetensors", "config.yaml", "metrics.json", "README.md", "e.safetensors"}
    assert {path.name for path in tmp_path.iterdir()} == names
    loaded, saved = load_model(tmp_path)
    assert saved == config
    assert not loaded.training
    batch = collate([make_dialogue(3, 1)], DIMS)
    with torch.no_grad():
        ours, theirs = (net(batch).logits.softmax(2) for net in (network, loaded))
    assert torch.allclose(ours, theirs, atol=5e-3)
    assert json.loads((tmp_path / "metrics.json").read_text()) == METRICS
    card = (tmp_path / "README.md").read_text()
    for fact in ("# a name", kind, "neutral, surprise", "| selection | best epoch |", "dev uar"):
        assert fact in card


def test_a_checkpoint_for_other_labels_reads_no_media(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, make_network("avt-memocmt"), make_config("avt-memocmt"), METRICS)
    path = tmp_path / "config.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["labels"] = settings["labels"][::-1]
    path.write_text(yaml.safe_dump(settings))
    assert load_model(tmp_path)[1].labels[0] == "anger"
    with pytest.raises(AvtError, match=r"tells anger, disgust.*apart.*evaluate --features"):
        load_media_model(tmp_path)


@pytest.mark.parametrize("labels", [[], ["joy"], ["joy", "joy"], ["joy", ""]])
def test_labels_are_names_each_once(tmp_path: Path, labels: list[str]) -> None:
    save_checkpoint(tmp_path, make_network("text-only"), make_config("text-only"), METRICS)
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "labels": labels}))
    with pytest.raises(AvtError, match="labels"):
        load_model(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_every_network_has_an_output_for_each_label(kind: str) -> None:
    config = make_config(kind).model_copy(update={"labels": tuple("abcd")})
    network = build_model(config).eval()
    batch = collate([make_dialogue(3, 1)], DIMS)
    answer = network(batch.with_targets(torch.eye(4)[[0, 3, 1]]))
    assert answer.logits.shape == (1, 3, 4)
    assert all(own.shape == (1, 3, 4) for own in answer.unimodal_logits.values())


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, make_network("text-only"), make_config("avt-memocmt"), METRICS)
    with pytest.raises(AvtError, match="does not fit"):
        load_model(tmp_path)


def test_only_the_proposed_network_on_encoder_tokens_reads_media(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, make_network("avt-memocmt"), make_config("avt-memocmt"), METRICS)
    assert load_media_model(tmp_path)[0].modalities == MODALITIES
    for kind in BASELINES:
        save_checkpoint(tmp_path, make_network(kind), make_config(kind), METRICS)
        with pytest.raises(AvtError, match=rf"cannot read media \({kind}\).*evaluate --features"):
            load_media_model(tmp_path)
    named = {"text": TokenShape(dim=12), "audio": TokenShape(dim=1, names=("pitch",))}
    config = make_config("avt-memocmt", modalities=["audio", "text"])
    config = config.model_copy(update={"features": named})
    save_checkpoint(tmp_path, build_model(config), config, METRICS)
    with pytest.raises(AvtError, match="imported audio values"):
        load_media_model(tmp_path)
