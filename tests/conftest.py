"""Fixtures that many tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from avt_memocmt import EmotionRecognizer


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the real corpora; tests that need it skip, and say so, where it is not given."""
    folder = os.environ.get("AVT_MEMOCMT_DATA")
    if not folder:
        pytest.skip("set AVT_MEMOCMT_DATA to the folder with the corpora to run this test")
    return Path(folder)


@pytest.fixture(scope="session")
def recognizer() -> EmotionRecognizer:
    """The checkpoint that ships, loaded once for all tests."""
    return EmotionRecognizer.from_pretrained("embedded")
