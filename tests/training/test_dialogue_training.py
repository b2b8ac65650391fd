"""Training on feature stores: reproducible, resumable, in several processes, encoder included."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from store_factory import make_config, make_store
from tiny_encoders import save_tiny_bert

from avt_memocmt.config import TokenShape
from avt_memocmt.data.feature_store import FeatureStore, StoreManifest
from avt_memocmt.data.labelled_dialogues import load_dialogues
from avt_memocmt.errors import AvtError
from avt_memocmt.evaluation.on_features import evaluate_stores
from avt_memocmt.models.checkpoint import load_model, token_dims
from avt_memocmt.models.predict import predict_dialogues
from avt_memocmt.training import trainer as loop
from avt_memocmt.training.dialogues import hide_modalities, train_dialogues


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def assert_same(first: Path, second: Path) -> None:
    ours, theirs = weights(first), weights(second)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_it_learns_and_the_checkpoint_predicts_what_was_selected(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", dialogues=40)
    config = make_config(epochs=12)
    folder = train_dialogues(config, [store], tmp_path / "run", name="proposed")
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["model"] == "proposed"
    assert metrics["dev"]["weighted_f1"] > 0.7
    lines = (folder / "training" / "log.jsonl").read_text().splitlines()
    epoch = max(map(json.loads, lines), key=lambda line: line["weighted_f1"])
    confusion = np.array(epoch["confusion"])
    assert confusion.shape == (7, 7)
    model, saved = load_model(folder)
    assert saved.features == store.manifest.modalities
    dialogues = load_dialogues([store], "dev", saved.model.modalities)
    guesses = predict_dialogues(model, dialogues, token_dims(saved)).logits.argmax(dim=1).numpy()
    truth = np.concatenate([d.emotions for d in dialogues])
    accuracy = float((guesses == truth).mean())
    assert accuracy == pytest.approx(metrics["dev"]["accuracy"], abs=1e-4)
    assert confusion.sum(axis=1).tolist() == np.bincount(truth, minlength=7).tolist()
    assert confusion.trace() / len(truth) == pytest.approx(accuracy)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        train_dialogues(make_config(seed=seed), [store], tmp_path / name, name=name)
    assert_same(tmp_path / "a", tmp_path / "b")
    with pytest.raises(AssertionError):
        assert_same(tmp_path / "a", tmp_path / "c")


def test_a_run_killed_between_epochs_resumes_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store(tmp_path / "store")
    train_dialogues(make_config(), [store], tmp_path / "whole", name="x")

    class Killed(BaseException):
        pass

    real = loop.Trainer._train_epoch

    def dies_in_the_third(self: loop.Trainer, *args: object) -> float:
        mean = real(self, *args)
        if self.epoch == 2:
            raise Killed
        return mean

    monkeypatch.setattr(loop.Trainer, "_train_epoch", dies_in_the_third)
    with pytest.raises(Killed):
        train_dialogues(make_config(), [store], tmp_path / "stopped", name="x")
    monkeypatch.undo()
    assert not (tmp_path / "stopped" / "model.safetensors").exists()
    train_dialogues(make_config(), [store], tmp_path / "stopped", name="x")
    assert_same(tmp_path / "whole", tmp_path / "stopped")


def test_training_stops_when_dev_gets_no_better(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    config = make_config(epochs=50, patience=2, learning_rate=1e-7)
    train_dialogues(config, [store], tmp_path / "run", name="x")
    log = (tmp_path / "run" / "training" / "log.jsonl").read_text().splitlines()
    assert len(log) < 50
    best = max(range(len(log)), key=lambda i: json.loads(log[i])["weighted_f1"])
    assert len(log) == best + 1 + 2


def test_modality_dropout_never_hides_everything(tmp_path: Path) -> None:
    dialogue = load_dialogues([make_store(tmp_path)], "train", ("audio", "visual", "text"))[2]
    generator = np.random.default_rng(0)
    for _ in range(50):
        hidden = hide_modalities(dialogue, 0.9, generator)
        for before, after in zip(dialogue.turns, hidden.turns, strict=True):
            assert after.tokens
            assert after.tokens.keys() <= before.tokens.keys()
    bare = replace(dialogue, turns=tuple(turn.only(()) for turn in dialogue.turns))
    words = hide_modalities(bare, 0.9, generator, reads_words=True)
    assert [t.words.text for t in words.turns] == [t.words.text for t in dialogue.turns]
    untouched = hide_modalities(dialogue, 0.0, generator)
    assert [t.tokens.keys() for t in untouched.turns] == [t.tokens.keys() for t in dialogue.turns]


def test_a_text_encoder_is_tuned_and_kept_with_the_checkpoint(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", dialogues=30)
    bert = save_tiny_bert(tmp_path / "bert")
    config = make_config(
        epochs=20,
        patience=20,
        text_encoder="fine-tuned",
        encoder_learning_rate=0.01,
        frozen_layers=1,
    )
    text = config.text.model_copy(
        update={
            "encoder": config.text.encoder.model_copy(update={"name": str(bert)}),
            "context_turns": 2,
            "context_tokens": 16,
        }
    )
    model = config.model.model_copy(update={"kind": "text-only", "modalities": ("text",)})
    config = config.model_copy(update={"text": text, "model": model})
    folder = train_dialogues(config, [store], tmp_path / "run", name="text")
    tuned, before = (
        load_file(folder / "text_encoder.safetensors"),
        load_file(bert / "model.safetensors"),
    )
    changed = {
        name
        for name, value in tuned.items()
        if not torch.equal(value.float(), before[name].half().float())
    }
    assert any("layer.1." in name for name in changed)
    assert not any("layer.0." in name or "embeddings" in name for name in changed)
    saved = load_model(folder)[1]
    assert saved.text.fine_tuned
    assert json.loads((folder / "metrics.json").read_text())["dev"]["weighted_f1"] > 0.8


def test_the_measured_network_is_the_corrected_one(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    for name, strength in (("plain", 0.0), ("corrected", 1.0)):
        config = make_config(prior_correction=strength)
        train_dialogues(config, [store], tmp_path / name, name=name)
    ours, theirs = weights(tmp_path / "plain"), weights(tmp_path / "corrected")
    assert {n for n in ours if not torch.equal(ours[n], theirs[n])} == {"head.2.bias"}


@pytest.mark.parametrize("kind", ["mist", "d2gnn"])
def test_a_compared_network_learns_and_measures_as_it_was_selected(
    kind: str, tmp_path: Path
) -> None:
    store = make_store(tmp_path / "store", dialogues=40)
    config = make_config(epochs=14, patience=14, token_budget=40)
    model = config.model.model_copy(update={"kind": kind, "modalities": ("text",)})
    config = config.model_copy(update={"model": model})
    folder = train_dialogues(config, [store], tmp_path / "run", name=kind)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["dev"]["weighted_f1"] > 0.6
    evaluation, provenance = evaluate_stores(folder, [store], "dev")
    accuracy = float((evaluation.probabilities.argmax(axis=1) == evaluation.truth).mean())
    assert accuracy == pytest.approx(metrics["dev"]["accuracy"], abs=1e-4)
    assert (provenance.model, provenance.context) == (kind, "past-only")
    card = (folder / "README.md").read_text()
    assert ("| context | past turns only |" in card) == (kind == "d2gnn")


def test_a_missing_modality_is_named(tmp_path: Path) -> None:
    manifest = StoreManifest(
        package_version="0", modalities={"text": TokenShape(dim=8)}, extractor={"text": {}}
    )
    store = FeatureStore.create(tmp_path / "store", manifest)
    with pytest.raises(AvtError, match=r"no audio and no visual features.*model\.modalities"):
        train_dialogues(make_config(), [store], tmp_path / "run", name="x")


def test_two_processes_train_one_model(tmp_path: Path) -> None:
    make_store(tmp_path / "store", dialogues=24)
    settings = make_config(epochs=8).model_dump(mode="json")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    # `accelerate launch` starts its processes by torchrun too, but on CPUs only through MPI.
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"),
        *("--master_port", "29511", "-m", "avt_memocmt", "train"),
        *("--config", str(tmp_path / "config.yaml")),
        *("--features", str(tmp_path / "store"), "--out", str(tmp_path / "run")),
    ]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["processes"] == 2
    log = (tmp_path / "run" / "training" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in log] == list(range(1, len(log) + 1))
    assert metrics["dev"]["weighted_f1"] > 0.5
