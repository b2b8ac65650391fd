"""Made inputs, whole and damaged: each is predicted or named, and nothing else happens."""

from __future__ import annotations

from pathlib import Path

import pytest
from footage import PACKAGES, SPEECH
from try_made_inputs import material_of, try_seeds

FIRST, LAST = 0, 300


@pytest.mark.skipif(not SPEECH.is_file(), reason="the footage is not at hand")
def test_three_hundred_made_inputs(tmp_path: Path) -> None:
    assert try_seeds(FIRST, LAST, tmp_path, material_of(PACKAGES)) == []
