"""Fixtures that many tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import footage
import pytest
import typer.main
from command_line import shipped
from footage import Spoken
from model_factory import make_model
from PIL import Image
from silence import LIMIT, SilenceWatch, end_run

from avt_memocmt import EmotionRecognizer
from avt_memocmt.models.avt_memocmt import AvtMemoCmt

# For processes that tests start, such as the service: between two layers their threads would spin,
# which on processors that others want as well takes six times the processor time of the work.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

DEAREST = (
    "engines/test_onnx_engine.py",
    "service/test_page_studio.py",
    "service/test_running_service.py",
    "test_made_inputs.py",
    "recipe/test_recipe.py",
    "cluster/test_on_cluster.py",
    "service/test_service_crash.py",
    "extraction/test_extraction_run.py",
    "commands/test_research_commands.py",
    "reproduction/test_reproduction.py",
    "explainability/test_explain.py",
    "inference/test_stream.py",
    "bench/test_bench.py",
    "batch/test_batch_run.py",
    "training/test_dialogue_training.py",
    "service/test_child.py",
    "speakers/test_diarizer.py",
)
"""Files that take more than about ten seconds of processor time."""


def pytest_configure(config: pytest.Config) -> None:
    """Watch the processes of pytest-xdist from the one that started them."""
    if config.getoption("dist", "no") != "no":
        config.pluginmanager.register(SilenceWatch(LIMIT, end_run))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the dearest files begin, so that no process works alone at the end."""
    places = {Path(__file__).parent / name: place for place, name in enumerate(DEAREST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture(scope="session", autouse=True)
def commands_read_once() -> Iterator[None]:
    """Typer reads the signatures of all commands each time that one is run, which takes 70 ms."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", cache(typer.main.get_command))
        yield


@pytest.fixture(scope="session")
def corpora() -> Path | None:
    """Folder of the real corpora, where it is given."""
    folder = os.environ.get("AVT_MEMOCMT_DATA")
    return Path(folder) if folder else None


@pytest.fixture(scope="session")
def data_dir(corpora: Path | None) -> Path:
    """The same; a test that measures a corpus skips, and says so, where it is not given."""
    if corpora is None:
        pytest.skip("set AVT_MEMOCMT_DATA to the folder with the corpora to run this test")
    return corpora


@pytest.fixture(scope="session")
def talking_clips(corpora: Path | None, tmp_path_factory: pytest.TempPathFactory) -> list[Spoken]:
    """Films of 3 s, 360 x 288, in each of which one face says six words; at least two people."""
    return footage.talking_clips(corpora, tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="session")
def talking_clip(talking_clips: list[Spoken]) -> Spoken:
    """The first of these films."""
    return talking_clips[0]


@pytest.fixture(scope="session")
def sentences(corpora: Path | None, tmp_path_factory: pytest.TempPathFactory) -> list[Spoken]:
    """Recordings of one sentence each."""
    return footage.sentences(corpora, tmp_path_factory.mktemp("sentences"))


@pytest.fixture(scope="session")
def small_face(corpora: Path | None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grey picture of 48 x 48 pixels that is filled by a face."""
    path = tmp_path_factory.mktemp("face") / "face.png"
    Image.fromarray(footage.small_faces(corpora, 1)[0]).save(path)
    return path


@pytest.fixture(scope="session")
def recognizer() -> EmotionRecognizer:
    """The checkpoint that ships, loaded once for all tests."""
    return shipped()


@pytest.fixture(scope="module")
def model() -> AvtMemoCmt:
    """A small fusion model, far from its first weights."""
    return make_model()
