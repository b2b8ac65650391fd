"""Made inputs, whole and damaged: each is predicted or named, and nothing else happens."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import load_shipped_once
from footage import PACKAGES, SPEECH
from made_inputs import Material
from try_made_inputs import material_of, try_ten


@pytest.fixture(scope="module")
def material() -> Material:
    if not SPEECH.is_file():
        pytest.skip("needs the footage that `make test` fetches")
    return material_of(PACKAGES)


@pytest.mark.parametrize("first", range(0, 300, 10))
def test_ten_made_inputs(
    first: int, tmp_path: Path, material: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_shipped_once(monkeypatch)
    assert try_ten(first, tmp_path, material) == []
