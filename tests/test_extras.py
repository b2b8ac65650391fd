"""Commands work with the extra that README installs for them, or say which one is missing."""

from __future__ import annotations

import ast
import json
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
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from hidden_packages import VisiblePackages
packages = VisiblePackages()
packages.show("embedded")
from avt_memocmt.cli import app, main
answers = []

def run(*arguments):
    sys.argv = ["avt-memocmt", *arguments]
    with io.StringIO() as written, redirect_stdout(written), redirect_stderr(written):
        try:
            main()
        except SystemExit as end:
            answers.append((" ".join(arguments), end.code or 0, written.getvalue()))

for command in app.registered_commands:
    run(command.callback.__name__.replace("_", "-"), "--help")
run("doctor")
run("predict", "talk.wav", "face.png", "--out", "out")
run("export", "--out", "graphs")
run("serve", "--data", "studio")
run("explain", "face.png", "--out", "why")
run("check-explanations", "clips.csv", "--out", "why")
run("train", "--preset", "embedded")
run("extract", "clips.csv", "--preset", "embedded", "--out", "store", "--scheduler", "tcp://h:1")
packages.show("embedded", "explain")
import captum.attr
packages.show("embedded", "onnx")
import onnxruntime.quantization, onnxscript
packages.show("train")
import avt_memocmt.training.trainer
run("train", "--preset", "embedded")
packages.show()
run("preprocess", "faces", "face.png", "faces")
Path("answers.json").write_text(json.dumps(answers))
"""
WORKS = ""
EXPECTED = [
    ("doctor", WORKS),
    ("predict talk.wav face.png --out out", WORKS),
    ("export --out graphs", "pip install 'avt-memocmt[onnx]'"),
    ("serve --data studio", "pip install 'avt-memocmt[web]'"),
    ("explain face.png --out why", "pip install 'avt-memocmt[explain]'"),
    ("check-explanations clips.csv --out why", "pip install 'avt-memocmt[explain]'"),
    ("train --preset embedded", "pip install 'avt-memocmt[train]'"),
    (
        "extract clips.csv --preset embedded --out store --scheduler tcp://h:1",
        "pip install 'avt-memocmt[cluster]'",
    ),
    ("train --preset embedded", "put the MELD release there"),
    ("preprocess faces face.png faces", "pip install 'avt-memocmt[embedded]'"),
]
"""The commands that SCRIPT runs, each with what it says that is missing."""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory, small_face: Path) -> list[list]:
    """Command, status and output of what one process ran from which packages were hidden."""
    folder = tmp_path_factory.mktemp("extras")
    write_wav(folder / "talk.wav", speech_like(1.0))
    shutil.copy(small_face, folder / "face.png")
    (folder / "clips.csv").write_text("path,text,emotion\n,I hate this.,anger\n")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found: list[list] = json.loads((folder / "answers.json").read_text())
    return found


def test_every_command_answers_help_without_extras(answers: list[list]) -> None:
    helped = [(status, text) for command, status, text in answers if command.endswith("--help")]
    assert len(helped) > 15
    assert all(status == 0 and "Usage" in text for status, text in helped)


def test_commands_work_or_name_their_extra(answers: list[list]) -> None:
    called = [answer for answer in answers if not answer[0].endswith("--help")]
    assert [command for command, _, _ in called] == [command for command, _ in EXPECTED]
    for (_, status, text), (_, sentence) in zip(called, EXPECTED, strict=True):
        assert "Traceback" not in text, text
        assert status == (1 if sentence else 0), text
        assert sentence in text


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
