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
from command_line import run
from meld_factory import small_meld
from tiny_encoders import save_tiny_encoders

ROOT = Path(__file__).parents[2]


def run_script(folder: Path, name: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run train.py or evaluate.py as its user does."""
    return subprocess.run(
        [sys.executable, str(ROOT / name), *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
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
def test_bare_train_and_evaluate_go_from_clips_to_the_table(
    tmp_path: Path,
    way: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = prepare_folder(tmp_path)
    monkeypatch.chdir(folder)

    def do(name: str, *options: str) -> None:
        if way == "encoders":  # one of the ways by the scripts, whose start is dear
            done = run_script(folder, f"{name}.py", *options)
            assert done.returncode == 0, done.stderr
        else:
            status, _, stderr = run([name, *options], monkeypatch, capsys)
            assert status == 0, stderr

    options = ["--preset", "embedded", "--set", "training.epochs=1"]
    if way == "encoders":
        save_tiny_encoders(folder / "tiny")
        options = ["--encoders", "tiny"]
    do("train", *options)
    metrics = json.loads((folder / "checkpoints" / "meld" / "metrics.json").read_text())
    assert metrics["model"] == "avt-memocmt"
    do("evaluate", "--json", "figures.json")
    with (folder / "experiments" / "results.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    assert (row["split"], row["n"], row["context"]) == ("dev", "4", "past-only")
    assert float(row["accuracy"]) == json.loads((folder / "figures.json").read_text())["accuracy"]
    assert float(row["accuracy"]) == pytest.approx(metrics["dev"]["accuracy"])
    for name in ("results.md", "confusion_matrix.png"):
        assert (folder / "experiments" / name).is_file()
    if way == "encoders":
        test = ["evaluate", "--meld", "data/MELD", "--split", "test"]
        status, stdout, stderr = run(test, monkeypatch, capsys)
        assert status == 0, stderr
        assert "n = 4" in stdout


def test_a_missing_release_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copyfile(ROOT / "config.yaml", tmp_path / "config.yaml")
    monkeypatch.chdir(tmp_path)
    for command, words in (("train", "data/MELD is missing"), ("evaluate", "data/MELD")):
        status, _, stderr = run([command], monkeypatch, capsys)
        assert status == 1
        assert words in stderr
        assert "Traceback" not in stderr
        assert not (tmp_path / "checkpoints").exists()


def test_an_unknown_setting_and_a_missing_encoder_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copyfile(ROOT / "config.yaml", tmp_path / "config.yaml")
    monkeypatch.chdir(tmp_path)
    for options, words in (
        (["--set", "training.epoch=3"], "training.epoch: unknown key"),
        (["--encoders", "nowhere"], "nowhere lacks audio/config.json"),
    ):
        status, _, stderr = run(["train", *options], monkeypatch, capsys)
        assert status == 1
        assert words in stderr


def test_csvs_alone_are_measured_on_their_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = prepare_folder(tmp_path)
    meld = folder / "data" / "MELD"
    for split in ("train", "dev", "test"):
        shutil.rmtree(meld / split)
    monkeypatch.chdir(folder)
    command = ["evaluate", "--meld", str(meld), "--split", "dev", "--json", "figures.json"]
    status, _, stderr = run(command, monkeypatch, capsys)
    assert status == 0, stderr
    assert "no trained checkpoint in checkpoints/meld, so the shipped one, embedded" in stderr
    figures = json.loads((folder / "figures.json").read_text())
    assert (figures["checkpoint"], list(figures["subsets"])) == ("embedded", ["text"])
    assert figures["n"] == 4
