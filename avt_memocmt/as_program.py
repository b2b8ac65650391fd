"""Lets a module be run by `python -m`: it is then the command of `avt-memocmt` that calls it."""

from __future__ import annotations

import sys
from importlib import import_module


def run_command(*words: str) -> None:
    """Run a command with the arguments of this process.

    The command line is looked up only when a module is run as a program: imported, no module needs
    what stands above it.

    Args:
        words: that name the command, such as "preprocess", "audio".
    """
    sys.argv[:1] = ["avt-memocmt", *words]
    import_module("avt_memocmt.cli").main()
