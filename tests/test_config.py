"""The schema of the settings, the values of both presets, and the files generated from them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from avt_memocmt.config_file import EMBEDDED_PRESET, load_config, save_config
from avt_memocmt.errors import AvtError

ROOT = Path(__file__).parents[1]
PAPER = ROOT / "config.yaml"


RESOLVED = {
    "paper": {
        "audio": {
            "encoder": {
                "name": "facebook/hubert-base-ls960",
                "revision": "dba3bb02fda4248b6e082697eee756de8fe8aa8a",
            },
            "trim_silence": False,
            "trim_threshold_db": 40.0,
            "voice_activity": False,
            "max_seconds": 20.0,
            "segmentation": {
                "aggressiveness": 2,
                "min_speech": 0.15,
                "min_silence": 0.7,
                "max_utterance": 12.0,
                "padding": 0.2,
            },
        },
        "visual": {
            "encoder": {
                "name": "microsoft/resnet-50",
                "revision": "34c2154c194f829b11125337b98c8f5f9965ff19",
            },
            "detector": "mtcnn",
            "frames_per_second": 4.0,
            "min_change": 0.0,
            "max_frames": 32,
            "face_policy": "largest",
            "min_face": 24,
        },
        "text": {
            "encoder": {
                "name": "bert-base-uncased",
                "revision": "86b5e0934494bd15c9632b12f734a8a67f723594",
            },
            "lowercase": False,
            "max_tokens": 96,
            "context_turns": 0,
            "context_tokens": 0,
            "fine_tuned": False,
            "align_words": False,
        },
        "model": {
            "kind": "avt-memocmt",
            "modalities": ["audio", "visual", "text"],
            "dim": 256,
            "heads": 4,
            "feed_forward": 1024,
            "cross_modal_layers": 2,
            "temporal_layers": 2,
            "pooling": "mean",
            "temporal_window": 16,
            "causal": True,
            "dropout": 0.1,
        },
        "training": {
            "seed": 0,
            "epochs": 20,
            "patience": 4,
            "learning_rate": 3e-4,
            "encoder_learning_rate": 3e-5,
            "weight_decay": 0.01,
            "warmup": 0.1,
            "clip": 1.0,
            "token_budget": 8192,
            "turn_budget": 64,
            "modality_dropout": 0.1,
            "class_balance": 0.0,
            "prior_correction": 0.0,
            "label_smoothing": 0.05,
            "weight_average": 0.0,
            "auxiliary_weight": 0.3,
            "precision": "fp32",
            "text_encoder": "frozen",
            "frozen_layers": 0,
            "encoder_dropout": 0.1,
        },
        "paths": {
            "meld": "data/MELD",
            "features": "features/meld",
            "checkpoint": "checkpoints/meld",
            "experiments": "experiments",
        },
    },
    "embedded": {
        "audio": {"encoder": {"name": "whisper-tiny.en", "revision": None}},
        "visual": {"encoder": {"name": "face-cnn", "revision": None}, "detector": "yunet"},
        "text": {
            "encoder": {"name": "minilm-l6", "revision": None},
            "max_tokens": 80,
            "context_turns": 5,
            "context_tokens": 64,
            "fine_tuned": True,
        },
        "model": {"feed_forward": 512, "temporal_window": 12, "dropout": 0.2},
    },
}
"""The settings of both presets; of the embedded one those in which it differs from the paper's."""


@pytest.mark.parametrize("preset", ["paper", "embedded"])
def test_a_preset_resolves_to_these_values(preset: str) -> None:
    config = load_config({"paper": PAPER, "embedded": EMBEDDED_PRESET}[preset])
    found = config.model_dump(mode="json")
    assert (found["preset"], found["features"]) == (preset, None)
    for section, settings in RESOLVED["paper"].items():
        expected = settings | RESOLVED[preset].get(section, {})
        assert expected.items() <= found[section].items()


def test_config_yaml_and_the_page_of_settings_are_generated_from_the_classes(
    tmp_path: Path,
) -> None:
    script = ROOT / "scripts" / "write_settings.py"
    subprocess.run([sys.executable, script, tmp_path], check=True, timeout=120)
    for name in ("config.yaml", "docs/settings.md"):
        committed = (ROOT / name).read_text(encoding="utf-8")
        assert (tmp_path / name).read_text(encoding="utf-8") == committed, (
            "run scripts/write_settings.py"
        )


def test_config_yaml_holds_every_setting() -> None:
    written = yaml.safe_load(PAPER.read_text(encoding="utf-8"))
    resolved = load_config(PAPER).model_dump(mode="json")
    assert {**written, "labels": resolved["labels"], "features": None} == resolved


def test_the_paper_config_names_the_papers_encoders() -> None:
    config = load_config(PAPER)
    assert config.preset == "paper"
    assert config.audio.encoder.name == "facebook/hubert-base-ls960"
    assert config.visual.detector == "mtcnn"


def test_writing_and_reading_gives_an_equal_config(tmp_path: Path) -> None:
    for config in (load_config(PAPER), load_config(EMBEDDED_PRESET)):
        save_config(config, tmp_path / "config.yaml")
        assert load_config(tmp_path / "config.yaml") == config


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("frames_per_second: 4.0", "frames_per_secund: 4.0", "visual.frames_per_secund: unknown"),
        ("dim: 256", "dim: 250", "heads"),
        ("dropout: 0.1", "dropout: 1.5", "model.dropout"),
        ("aggressiveness: 2", "aggressiveness: 9", "audio.segmentation.aggressiveness"),
        ("detector: mtcnn", "detector: haar", "visual.detector"),
        ("preset: paper", "preset: [", "not valid YAML"),
    ],
)
def test_a_mistake_is_named_by_its_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "config.yaml"
    text = PAPER.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(AvtError, match=message):
        load_config(path)


def test_a_missing_or_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AvtError, match="cannot read"):
        load_config(tmp_path / "none.yaml")
    (tmp_path / "empty.yaml").write_text("", encoding="utf-8")
    with pytest.raises(AvtError, match="holds no settings"):
        load_config(tmp_path / "empty.yaml")
