"""The command line starts quickly, and what the package logs reaches its user."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest
from command_line import load_shipped_once, shipped

from avt_memocmt.api import load_named
from avt_memocmt.commands.console import show_library_log
from avt_memocmt.models.checkpoint import checkpoint_folder


def test_the_log_of_the_library_is_shown_once_on_stderr_without_breaks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_library_log()
    show_library_log()
    line = '{"epoch": 1, "loss": [0.5]} ' + "word " * 60 + "[end]"
    logging.getLogger("avt_memocmt.training.trainer").info(line)
    logging.getLogger("avt_memocmt.training.trainer").debug("not shown")
    captured = capsys.readouterr()
    assert captured.err == line + "\n"
    assert captured.out == ""


def test_the_command_line_starts_without_what_reads_media() -> None:
    loads = (
        "import sys, avt_memocmt.cli; "
        "print(sorted({'av', 'cv2', 'fastapi', 'jinja2', 'numpy', 'torch'} & sys.modules.keys()))"
    )
    found = subprocess.run(
        [sys.executable, "-c", loads], check=True, capture_output=True, text=True, timeout=120
    )
    assert found.stdout == "[]\n"


def test_commands_inside_a_test_share_what_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the test suite's time a tenth is loading where they do not."""
    load_shipped_once(monkeypatch)
    assert load_named("embedded") is shipped()
    assert load_named(checkpoint_folder("embedded")) is shipped()
