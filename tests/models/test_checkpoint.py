"""The shipped checkpoint, and checkpoints of other versions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from avt_memocmt.data.feature_store import FeatureStore
from avt_memocmt.errors import AvtError
from avt_memocmt.extraction.clip import store_manifest
from avt_memocmt.models.checkpoint import (
    CONFIG_FILE,
    METRICS_FILE,
    MODEL_FILE,
    checkpoint_folder,
    load_media_model,
    load_model,
)

SHIPPED = checkpoint_folder("embedded")


def test_the_shipped_checkpoint_names_the_encoders_of_its_features() -> None:
    """So features of other encoders are refused, as for every checkpoint."""
    _, config = load_media_model(SHIPPED)
    store = FeatureStore(SHIPPED, store_manifest(config, SHIPPED))
    named = json.loads((SHIPPED / METRICS_FILE).read_text())["encoders"]
    assert named == {m: store.encoder_sha256(m) for m in config.model.modalities}


def test_the_shipped_checkpoint_holds_what_was_fitted() -> None:
    model, _ = load_media_model(SHIPPED)
    fitted = model.temperatures
    several = [False, False, False, True, False, True, True, True]  # by the bits of the set
    assert (fitted.decision != 1).tolist() == several
    assert (fitted.unimodal != 1).all()
    assert fitted.exponent[0] > 0
    assert fitted.exponent[1:].tolist() == [0, 0]
    assert model.novelty["audio"].centroids.any(dim=1).all()
    assert all(baseline.mean.any() for baseline in model.baselines.values())


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for name in (CONFIG_FILE, MODEL_FILE):
        shutil.copyfile(SHIPPED / name, tmp_path / name)
    return tmp_path


def test_weights_of_another_version_are_refused_in_one_sentence(copied: Path) -> None:
    tensors = load_file(copied / MODEL_FILE)
    tensors["opinion_heads.audio.0.weight"] = tensors.pop("unimodal_heads.audio.0.weight")
    save_file(tensors, copied / MODEL_FILE)
    with pytest.raises(AvtError, match=r"does not fit .*train it again\.$"):
        load_model(copied)


def test_settings_of_another_version_are_refused_in_one_sentence(copied: Path) -> None:
    settings = yaml.safe_load((copied / CONFIG_FILE).read_text())
    settings["model"]["temperatures"] = {"decision": {"audio": 2.0}}
    (copied / CONFIG_FILE).write_text(yaml.safe_dump(settings))
    with pytest.raises(AvtError, match=r"model\.temperatures: unknown key; .* this version\.$"):
        load_model(copied)


def test_temperatures_are_stored_in_single_precision() -> None:
    tensors = load_file(SHIPPED / MODEL_FILE)
    fitted = {n: x.dtype for n, x in tensors.items() if n.startswith("temperatures.")}
    assert fitted == dict.fromkeys(
        ("temperatures.decision", "temperatures.unimodal", "temperatures.exponent"), torch.float32
    )
