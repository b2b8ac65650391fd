"""The commands and paths that README.md and docs/ name: they are right, and the cheap ones run."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import click
import pytest
import typer
from command_line import run
from media_factory import speech_like, write_media, write_wav
from meld_factory import small_meld

from avt_memocmt.cli import app

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
LINES = [line for page in PAGES for line in page.read_text(encoding="utf-8").splitlines()]
COMMAND = re.compile(r"^ {0,4}(?:\.venv/bin/)?avt-memocmt (.+)|`avt-memocmt ([^`]+ [^`]+)`")
CHEAP = ("doctor", "predict", "preprocess", "evaluate-manifest clips.csv", "prepare --meld data/")
"""Beginnings of the commands in README.md that run on small inputs in seconds."""


def commands(lines: list[str]) -> list[str]:
    """What follows `avt-memocmt` in blocks and in running text, without comments."""
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    found = [match[1] or match[2] for line in joined for match in COMMAND.finditer(line)]
    return sorted({re.sub(r"\s+# .*| ;.*", "", command).strip() for command in found})


README = commands((ROOT / "README.md").read_text(encoding="utf-8").splitlines())
RUNNABLE = [
    command for command in README if command.startswith(CHEAP) and "--engine" not in command
]


@pytest.mark.parametrize("command", commands(LINES))
def test_every_command_and_its_options_exist(command: str) -> None:
    group: click.Command = typer.main.get_command(app)
    words = shlex.split(command)
    while isinstance(group, click.Group):
        name = words.pop(0)
        assert name in group.commands, f"there is no command {name!r}"
        group = group.commands[name]
    group.make_context(group.name, words)


@pytest.fixture
def inputs(small_face: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a small file under each name that README.md uses."""
    monkeypatch.chdir(tmp_path)
    captions = "1\n00:00:00,000 --> 00:00:01,000\nI hate this.\n"
    film = write_media(
        tmp_path / "film.mkv",
        picture_times=[index / 5 for index in range(5)],
        sound=speech_like(1.0),
        audio_codec="pcm_s16le",
    )
    for name in ("my_video.mp4", "talk.mp4", "clip.mkv"):
        shutil.copy(film, tmp_path / name)
    for name in ("film.srt", "captions.srt"):
        (tmp_path / name).write_text(captions, encoding="utf-8")
    (tmp_path / "names.txt").write_text("S1 = Anna\n", encoding="utf-8")
    write_wav(tmp_path / "talk.wav", speech_like(1.0))
    (tmp_path / "folder").mkdir()
    shutil.copy(tmp_path / "talk.wav", tmp_path / "folder")
    shutil.copy(small_face, tmp_path / "photo.jpg")
    (tmp_path / "clips.csv").write_text("path,text,emotion\ntalk.wav,I hate this.,anger\n")
    small_meld(tmp_path / "data" / "MELD")
    return tmp_path


@pytest.mark.parametrize("command", RUNNABLE)
def test_the_cheap_commands_of_the_readme_run(
    command: str,
    inputs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, _, stderr = run(shlex.split(command), monkeypatch, capsys)
    assert status == 0, stderr
    for name in re.findall(r"--(?:out|json) (\S+)|(voice\.wav|frames/|faces/)$", command):
        assert (inputs / (name[0] or name[1])).exists()


def test_the_python_example_of_the_readme_runs(
    inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})
    assert re.match(r"\d+\.\d+ \d+\.\d+ \w+ 0\.\d+", capsys.readouterr().out)


def test_paths_that_the_documentation_names_exist() -> None:
    named = re.compile(r"\b(?:avt_memocmt|scripts|tests|docs)/[\w./-]*\w(?:/|\b)")
    text = "\n".join(LINES)
    assert sorted({path for path in named.findall(text) if not (ROOT / path).exists()}) == []
