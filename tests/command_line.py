"""Runs the command line inside the process of a test."""

from __future__ import annotations

import pytest

from avt_memocmt.cli import main


def run(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str, str]:
    """Run `avt-memocmt`; return its exit status, stdout and stderr."""
    monkeypatch.setattr("sys.argv", ["avt-memocmt", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    captured = capsys.readouterr()
    code = stop.value.code
    return (code if isinstance(code, int) else 0), captured.out, captured.err
