"""Checkpoints go to a hub and come back the same, and what a stranger changed is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from local_hub import LocalHub, running_hub
from media_factory import write_wav
from tiny_network import save_tiny_network
from typer.testing import CliRunner

from avt_memocmt import EmotionRecognizer
from avt_memocmt.cli import app
from avt_memocmt.errors import AvtError
from avt_memocmt.models.checkpoint import HUB, MODEL_FILE, checkpoint_folder, load_model
from avt_memocmt.models.hub import SUMS_FILE, push_checkpoint

NAME = "somebody/tiny"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_network(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    """A hub to which this process is logged in, and an empty cache."""
    with running_hub() as running:
        # What HF_ENDPOINT and HF_HUB_CACHE would do if they were set before Python began.
        files = f"{running.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        constants = "huggingface_hub.constants"
        monkeypatch.setattr(f"{constants}.ENDPOINT", running.url)
        monkeypatch.setattr(f"{constants}.HUGGINGFACE_CO_URL_TEMPLATE", files)
        monkeypatch.setattr(f"{constants}.HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("HF_TOKEN", "secret")
        monkeypatch.chdir(tmp_path)
        yield running


def test_what_is_pushed_comes_back(hub: LocalHub, network: Path) -> None:
    told = CliRunner().invoke(app, ["push", NAME, "--checkpoint", str(network)])
    assert told.exit_code == 0, told.output
    (commit,) = hub.commits
    folder = checkpoint_folder(HUB + NAME)
    ours, theirs = load_model(network)[0], load_model(folder)[0]
    expected = ours.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in theirs.state_dict().items())
    assert checkpoint_folder(f"{HUB}{NAME}@{commit}") == folder
    for line in (folder / SUMS_FILE).read_text().splitlines():
        sha256, name = line.split("  ")
        assert hashlib.sha256((network / name).read_bytes()).hexdigest() == sha256
    front_matter = (folder / "README.md").read_text().split("---\n")[1]
    assert yaml.safe_load(front_matter)["library_name"] == "avt-memocmt"


def test_a_recogniser_is_that_of_a_revision(hub: LocalHub, network: Path) -> None:
    first = push_checkpoint(network, NAME)
    hub.commit({MODEL_FILE: b"spoilt later"})
    recognizer = EmotionRecognizer.from_pretrained(NAME, revision=first)
    assert recognizer.__reduce__()[1][0] == f"{HUB}{NAME}@{first}"
    with pytest.raises(AvtError, match=r"has no branch, tag or commit v9\.$"):
        EmotionRecognizer.from_pretrained(NAME, revision="v9")


def test_a_mistyped_folder_is_not_looked_for_on_the_hub(hub: LocalHub, network: Path) -> None:
    push_checkpoint(network, NAME)
    with pytest.raises(AvtError, match=f"{NAME} is no checkpoint"):
        checkpoint_folder(NAME)
    with pytest.raises(AvtError, match=f"{NAME} is no checkpoint"):
        EmotionRecognizer.from_pretrained(Path(NAME))
    assert hub.downloads == []


@pytest.mark.parametrize(
    "command",
    [
        ["predict", "a.mp4"],
        ["predict", "a.mp4", "--jobs", "1", "--out", "out"],
        ["bench"],
        ["robustness", "--data", "."],
        ["check-explanations", "manifest.csv", "--out", "out"],
    ],
    ids=lambda command: " ".join(command[:3]),
)
def test_nor_does_a_command(hub: LocalHub, network: Path, command: list[str]) -> None:
    push_checkpoint(network, NAME)
    write_wav(Path("a.wav"), np.zeros(16000, np.float32))
    Path("a.mp4").write_bytes(Path("a.wav").read_bytes())
    Path("manifest.csv").write_text("path,text,emotion\n,oh no,joy\n")
    told = CliRunner().invoke(app, [*command, "--checkpoint", NAME])
    assert f"{NAME} is no checkpoint" in str(told.exception)
    assert hub.downloads == []


def test_the_cache_serves_without_a_network(
    hub: LocalHub, network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push_checkpoint(network, NAME)
    folder = checkpoint_folder(HUB + NAME)
    asked = len(hub.downloads)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert checkpoint_folder(HUB + NAME) == folder
    assert len(hub.downloads) == asked
    with pytest.raises(AvtError, match="cannot be reached for somebody/other"):
        checkpoint_folder(f"{HUB}somebody/other")


def test_changed_weights_are_refused(hub: LocalHub, network: Path) -> None:
    push_checkpoint(network, NAME)
    weights = (network / MODEL_FILE).read_bytes()
    hub.commit({MODEL_FILE: weights[:-1] + bytes([weights[-1] ^ 1])})
    with pytest.raises(AvtError, match=f"{MODEL_FILE} of {NAME} is not the file"):
        checkpoint_folder(HUB + NAME)


@pytest.mark.parametrize(
    ("sums", "problem"),
    [
        (b"no sums", "has no readable SHA256SUMS"),
        (b"\xff", "has no readable SHA256SUMS"),
        (b"0" * 64 + b"  ../../etc/passwd\n", r"\.\./\.\./etc/passwd .* is not the file"),
        (b"", r"config\.yaml .* is not the file"),
    ],
)
def test_a_repository_of_something_else_is_refused(
    hub: LocalHub, network: Path, sums: bytes, problem: str
) -> None:
    push_checkpoint(network, NAME)
    hub.commit({SUMS_FILE: sums})
    with pytest.raises(AvtError, match=problem):
        checkpoint_folder(HUB + NAME)


def test_pickles_are_not_even_downloaded(hub: LocalHub, network: Path) -> None:
    push_checkpoint(network, NAME)
    hub.commit({"pytorch_model.bin": b"cos\nsystem\n(S'false'\ntR."})
    assert not (checkpoint_folder(HUB + NAME) / "pytorch_model.bin").exists()
    assert not any("pytorch_model" in path for path in hub.downloads)


def test_mistakes_are_one_sentence(
    hub: LocalHub, network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AvtError, match="has no repository somebody/typo that you may see"):
        checkpoint_folder(f"{HUB}somebody/typo")
    with pytest.raises(AvtError, match=r"is no name of a repository; give it as user/name\.$"):
        push_checkpoint(network, "a/b/c")
    monkeypatch.setenv("HF_TOKEN", "wrong")
    with pytest.raises(AvtError, match="run hf auth login"):
        push_checkpoint(network, NAME)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(AvtError, match="the hub cannot be reached for somebody/tiny"):
        push_checkpoint(network, NAME)
