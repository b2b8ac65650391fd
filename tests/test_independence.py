"""Tests stand alone: what several share lies in conftest.py or a module beside it."""

from __future__ import annotations

import re
from pathlib import Path


def test_no_test_imports_another() -> None:
    importing = re.compile(r"^\s*(?:from|import) (?:\w+\.)*test_", re.MULTILINE)
    tests = list(Path(__file__).parent.rglob("test_*.py"))
    assert len(tests) > 50
    assert [path.name for path in tests if importing.search(path.read_text("utf-8"))] == []


def test_no_two_files_of_tests_share_a_name() -> None:
    # pytest imports them by their names, and stops where two are the same.
    names = [path.name for path in Path(__file__).parent.rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
