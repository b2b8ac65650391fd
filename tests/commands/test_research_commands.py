"""The researcher's commands in a row, on a small MELD release with real media."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from meld_factory import small_meld
from tiny_encoders import save_tiny_encoders

ROOT = Path(__file__).parents[2]


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=folder, capture_output=True, text=True, timeout=300
    )


def prepare_folder(folder: Path) -> Path:
    """A working folder with the paper's settings, made small, and its layout of MELD."""
    settings = yaml.safe_load((ROOT / "config.yaml").read_text())
    small = {"dim": 16, "heads": 2, "feed_forward": 16}
    settings["model"].update(small, cross_modal_layers=1, temporal_layers=1)
    settings["training"].update(epochs=2)
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    small_meld(folder / "data" / "MELD", "paper")
    return folder


@pytest.mark.parametrize("way", ["encoders", "embedded"])
def test_bare_train_and_evaluate_go_from_clips_to_the_table(tmp_path: Path, way: str) -> None:
    folder = prepare_folder(tmp_path)
    options = ["--preset", "embedded", "--set", "training.epochs=1"]
    if way == "encoders":
        save_tiny_encoders(folder / "tiny")
        options = ["--encoders", "tiny"]
    trained = run(folder, str(ROOT / "train.py"), *options)
    assert trained.returncode == 0, trained.stderr
    metrics = json.loads((folder / "checkpoints" / "meld" / "metrics.json").read_text())
    assert metrics["model"] == "avt-memocmt"
    measured = run(folder, str(ROOT / "evaluate.py"), "--json", "figures.json")
    assert measured.returncode == 0, measured.stderr
    with (folder / "experiments" / "results.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    assert (row["split"], row["n"], row["context"]) == ("dev", "4", "past-only")
    assert float(row["accuracy"]) == json.loads((folder / "figures.json").read_text())["accuracy"]
    assert float(row["accuracy"]) == pytest.approx(metrics["dev"]["accuracy"])
    for name in ("results.md", "confusion_matrix.png"):
        assert (folder / "experiments" / name).is_file()


def test_the_test_split_is_measured_from_raw_clips(tmp_path: Path) -> None:
    folder = prepare_folder(tmp_path)
    save_tiny_encoders(folder / "tiny")
    trained = run(folder, str(ROOT / "train.py"), "--encoders", "tiny")
    assert trained.returncode == 0, trained.stderr
    measured = run(folder, str(ROOT / "evaluate.py"), "--meld", "data/MELD", "--split", "test")
    assert measured.returncode == 0, measured.stderr
    assert "n = 4" in measured.stdout


def test_a_missing_release_is_one_sentence(tmp_path: Path) -> None:
    shutil.copyfile(ROOT / "config.yaml", tmp_path / "config.yaml")
    for script, words in (("train.py", "data/MELD is missing"), ("evaluate.py", "data/MELD")):
        done = run(tmp_path, str(ROOT / script))
        assert done.returncode == 1
        assert words in done.stderr
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "checkpoints").exists()


def test_an_unknown_setting_and_a_missing_encoder_are_named(tmp_path: Path) -> None:
    shutil.copyfile(ROOT / "config.yaml", tmp_path / "config.yaml")
    done = run(tmp_path, str(ROOT / "train.py"), "--set", "training.epoch=3")
    assert done.returncode == 1
    assert "training.epoch: unknown key" in done.stderr
    done = run(tmp_path, str(ROOT / "train.py"), "--encoders", "nowhere")
    assert done.returncode == 1
    assert "nowhere lacks audio/config.json" in done.stderr


def test_csvs_alone_are_measured_on_their_words(tmp_path: Path) -> None:
    folder = prepare_folder(tmp_path)
    meld = folder / "data" / "MELD"
    for split in ("train", "dev", "test"):
        shutil.rmtree(meld / split)
    command = ("-m", "avt_memocmt", "evaluate", "--meld", str(meld), "--split", "dev")
    done = run(folder, *command, "--json", "figures.json")
    assert done.returncode == 0, done.stderr
    assert "no trained checkpoint in checkpoints/meld, so the shipped one, embedded" in done.stderr
    figures = json.loads((folder / "figures.json").read_text())
    assert (figures["checkpoint"], list(figures["subsets"])) == ("embedded", ["text"])
    assert figures["n"] == 4
