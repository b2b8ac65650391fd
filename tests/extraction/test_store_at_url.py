"""A store at the URL of an object store: the bytes of one in a folder, and readable from there."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from media_factory import speech_like, write_wav
from tiny_encoders import save_tiny_encoders

from avt_memocmt.commands.settings import resolve_config
from avt_memocmt.data.feature_store import FeatureStore
from avt_memocmt.data.index import UtteranceRecord
from avt_memocmt.data.labelled_dialogues import load_dialogues
from avt_memocmt.data.store_folder import store_folder
from avt_memocmt.errors import AvtError
from avt_memocmt.extraction.failures import read_failures
from avt_memocmt.extraction.plan import SHARD_SIZE, ExtractionPlan
from avt_memocmt.extraction.run import Extraction

PAPER = Path(__file__).parents[2] / "config.yaml"


@pytest.fixture
def bucket() -> Iterator[Path]:
    upath = pytest.importorskip("upath", reason="the extra cluster is not installed")
    yield store_folder("memory://bucket/store")
    upath.UPath("memory://bucket").fs.rm("/bucket", recursive=True)


def extract(folder: Path, media: Path, encoders: Path, **options: bool) -> list[str]:
    """Two shards of words, a sound, and a sound that is late; the reasons of failures."""
    paths: list[str | None] = [None] * (SHARD_SIZE + 2)
    paths[0], paths[-1] = str(media / "a.wav"), str(media / "late.wav")
    records = [UtteranceRecord("dev", n, 0, "A", "oh no", 0, path) for n, path in enumerate(paths)]
    config = resolve_config(PAPER, None, encoders, ["model.modalities=[audio, text]"])
    with ThreadPoolExecutor(1) as pool:
        extraction = Extraction(ExtractionPlan.of(records), config, None, folder)
        return [failure.reason for failure in extraction.run_in(pool, **options)]


def test_a_store_at_a_url_is_the_store_in_a_folder(bucket: Path, tmp_path: Path) -> None:
    encoders = save_tiny_encoders(tmp_path / "encoders")
    write_wav(tmp_path / "a.wav", speech_like(0.5))
    for folder in (tmp_path / "store", bucket):
        assert len(extract(folder, tmp_path, encoders)) == 1
    files = {path.name: path.read_bytes() for path in (tmp_path / "store").iterdir()}
    assert "part-00001.parquet" in files
    assert {path.name: path.read_bytes() for path in bucket.iterdir()} == files
    assert len(read_failures(bucket)) == 1
    dialogues = load_dialogues([FeatureStore.open(bucket)], "dev", ["audio", "text"])
    assert len(dialogues) == SHARD_SIZE + 1
    write_wav(tmp_path / "late.wav", speech_like(0.5))
    assert extract(bucket, tmp_path, encoders, retry_failed=True) == []
    assert {path.name for path in bucket.iterdir()} == files.keys() - {"failed.csv"}
    assert len(FeatureStore.open(bucket).keys()) == SHARD_SIZE + 2


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("ftp://host/store", "neither a folder nor an object store"),
        ("s3:///store?x", "s3"),
    ],
)
def test_an_address_that_cannot_be_opened_is_one_sentence(address: str, why: str) -> None:
    pytest.importorskip("upath", reason="the extra cluster is not installed")
    with pytest.raises(AvtError, match=why):
        store_folder(address)


def test_a_path_and_a_file_url_are_folders() -> None:
    assert store_folder("features/meld") == Path("features/meld")
    assert store_folder("file:///data/a%20b") == Path("/data/a b")
