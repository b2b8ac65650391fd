"""Runs the command line inside the process of a test."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from avt_memocmt import EmotionRecognizer
from avt_memocmt.cli import main
from avt_memocmt.engines.names import EngineName
from avt_memocmt.models.checkpoint import checkpoint_folder


@cache
def shipped() -> EmotionRecognizer:
    """The checkpoint that ships, loaded once in a process."""
    return EmotionRecognizer.from_pretrained("embedded")


def load_shipped_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the test ends, `from_pretrained("embedded")` gives the one that is loaded already.

    So it does for the folder of the checkpoint. Loading takes as long as predicting a short clip.
    Commands in processes of their own load as their users' do.
    """
    loaded, load = shipped(), EmotionRecognizer.from_pretrained
    names = ("embedded", str(checkpoint_folder("embedded")))

    def from_pretrained(
        cls: type[EmotionRecognizer],
        name_or_path: str | Path = "embedded",
        engine: EngineName = "torch",
    ) -> EmotionRecognizer:
        is_shipped = str(name_or_path) in names and engine == "torch"
        return loaded if is_shipped else load(name_or_path, engine)

    monkeypatch.setattr(EmotionRecognizer, "from_pretrained", classmethod(from_pretrained))


def run(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str, str]:
    """Run `avt-memocmt`; return its exit status, stdout and stderr."""
    monkeypatch.setattr("sys.argv", ["avt-memocmt", *arguments])
    load_shipped_once(monkeypatch)
    with pytest.raises(SystemExit) as stop:
        main()
    captured = capsys.readouterr()
    code = stop.value.code
    return (code if isinstance(code, int) else 0), captured.out, captured.err
