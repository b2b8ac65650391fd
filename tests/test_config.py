"""The configuration's schema, and that both shipped configurations fit it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from avt_memocmt.config import EMBEDDED_PRESET, load_config, save_config
from avt_memocmt.errors import AvtError

PAPER = Path(__file__).parents[1] / "config.yaml"


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


def test_the_core_runs_without_the_training_tools(tmp_path: Path) -> None:
    blocked = "import sys; sys.modules.update(accelerate=None, tensorboard=None)"
    (tmp_path / "sitecustomize.py").write_text(blocked)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        call = [sys.executable, "-m", "avt_memocmt", *command]
        return subprocess.run(call, env=environment, capture_output=True, text=True, timeout=120)

    done = run("doctor")
    assert done.returncode == 0, done.stderr
    done = run("train")
    assert done.returncode == 1
    assert "training needs accelerate; install the extra" in done.stderr
    assert "Traceback" not in done.stderr
