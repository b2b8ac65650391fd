"""The configuration's schema, and that both shipped configurations fit it."""

from __future__ import annotations

from pathlib import Path

import pytest

from avt_memocmt.config import load_config, save_config
from avt_memocmt.errors import AvtError
from avt_memocmt.training.recipe import EMBEDDED_RECIPE

PAPER = Path(__file__).parents[1] / "config.yaml"


def test_the_paper_config_names_the_papers_encoders() -> None:
    config = load_config(PAPER)
    assert config.preset == "paper"
    assert config.audio.encoder.name == "facebook/hubert-base-ls960"
    assert config.visual.detector == "mtcnn"


def test_writing_and_reading_gives_an_equal_config(tmp_path: Path) -> None:
    for config in (load_config(PAPER), load_config(EMBEDDED_RECIPE)):
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
