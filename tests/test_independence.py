"""Tests stand alone: what several share lies in conftest.py or a module beside it."""

from __future__ import annotations

import re
from pathlib import Path


def test_no_test_imports_another() -> None:
    importing = re.compile(r"^\s*(?:from|import) (?:\w+\.)*test_", re.MULTILINE)
    tests = list(Path(__file__).parent.rglob("test_*.py"))
    assert len(tests) > 50
    assert [path.name for path in tests if importing.search(path.read_text("utf-8"))] == []
