"""What the package logs reaches the user of the command line."""

from __future__ import annotations

import logging

import pytest

from avt_memocmt.commands.console import show_library_log


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
