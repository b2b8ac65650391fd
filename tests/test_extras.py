"""Commands work with the extra that README installs for them, or say which one is missing."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from hidden_packages import PROJECT, requirements
from media_factory import speech_like, write_wav
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
SCRIPT = """
import sys
from pathlib import Path
from hidden_packages import Hide
hide = Hide()
hide.install("embedded")
from avt_memocmt.cli import app, main

def run(*arguments):
    sys.argv = ["avt-memocmt", *arguments]
    print("$", *arguments, flush=True)
    try:
        main()
    except SystemExit as end:
        print("status", end.code or 0, flush=True)

for command in app.registered_commands:
    run((command.name or command.callback.__name__).replace("_", "-"), "--help")
run("predict", "talk.wav", "face.png", "--out", "out")
run("evaluate-manifest", "clips.csv")
run("export", "--out", "graphs")
run("explain", "face.png", "--out", "why")
run("check-explanations", "clips.csv", "--out", "why")
run("train", "--preset", "embedded")
run("predict", "talk.wav", "--engine", "openvino", "--checkpoint", "graphs")
hide.install("embedded", "explain")
run("explain", "face.png", "--out", "why")
hide.install("embedded", "onnx")
from model_factory import make_model
from avt_memocmt.engines.network_graphs import dialogue_graph
dialogue_graph(make_model()).write(Path("dialogue.onnx"))
hide.install("train")
from avt_memocmt.commands.settings import require_training_tools
require_training_tools()
import avt_memocmt.training.trainer
hide.install("embedded", "openvino")
import openvino
hide.install()
run("preprocess", "faces", "face.png", "faces")
"""


@pytest.fixture(scope="module")
def answers(
    tmp_path_factory: pytest.TempPathFactory, small_face: Path
) -> list[tuple[str, str, str]]:
    """Command, status and what it wrote, in one process from which packages are hidden."""
    folder = tmp_path_factory.mktemp("extras")
    write_wav(folder / "talk.wav", speech_like(1.0))
    shutil.copy(small_face, folder / "face.png")
    (folder / "clips.csv").write_text("path,text,emotion\n,I hate this.,anger\n")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    assert (folder / "dialogue.onnx").is_file()
    found = []
    for block in (
        done.stdout.split("\n$ ")[1:]
        if done.stdout.startswith("$") is False
        else (("\n" + done.stdout).split("\n$ ")[1:])
    ):
        command, _, rest = block.partition("\n")
        words, _, status = rest.rpartition("status ")
        found.append((command, status.split()[0], words))
    return found


def test_every_command_answers_help_without_extras(answers: list[tuple[str, str, str]]) -> None:
    helped = {command: status for command, status, _ in answers if command.endswith("--help")}
    assert len(helped) > 15
    assert set(helped.values()) == {"0"}


WORKING = ("predict talk.wav face.png", "evaluate-manifest")
SENTENCES = {
    "export": "pip install 'avt-memocmt[onnx]'",
    "explain": "pip install 'avt-memocmt[explain]'",
    "check-explanations": "pip install 'avt-memocmt[explain]'",
    "train": "pip install 'avt-memocmt[train]'",
}


def test_commands_work_or_name_their_extra(answers: list[tuple[str, str, str]]) -> None:
    called = [answer for answer in answers if not answer[0].endswith("--help")]
    for command, status, words in called:
        assert "Traceback" not in words, words
        if command.startswith(WORKING):
            assert status == "0", words
    first: dict[str, tuple[str, str]] = {}
    for command, status, words in called:
        first.setdefault(command.split()[0], (status, words))
    for name, sentence in SENTENCES.items():
        status, words = first[name]
        assert status == "1"
        assert sentence in words
    explained = [status for command, status, _ in called if command.startswith("explain")]
    assert explained == ["1", "0"]


def test_every_package_that_is_imported_is_declared() -> None:
    asked = requirements(*PROJECT["optional-dependencies"])
    declared = {canonicalize_name(Requirement(one).name) for one in asked}
    owners = packages_distributions()
    undeclared = set()
    for path in (ROOT / "avt_memocmt").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for top in {name.partition(".")[0] for name in names} - {"avt_memocmt"}:
                by = {canonicalize_name(owner) for owner in owners.get(top, [])}
                if top not in sys.stdlib_module_names and not by & declared:
                    undeclared.add(f"{path.name}: {top}")
    assert undeclared == set()
