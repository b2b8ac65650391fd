"""The whole recipe of the shipped weights, by its one command, on a few made-up samples."""

from __future__ import annotations

import io
import json
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import yaml
from face_start_factory import write_face_start
from media_factory import speech_like
from meld_factory import Row, write_table
from numpy.typing import NDArray
from PIL import Image
from tiny_encoders import save_tiny_mpnet
from typer.testing import CliRunner

from avt_memocmt import EmotionRecognizer
from avt_memocmt.cli import app
from avt_memocmt.config import MODALITIES
from avt_memocmt.config_file import load_config
from avt_memocmt.data.feature_store import FeatureStore
from avt_memocmt.emotions import EMOTIONS, FERPLUS_VOTES, RAVDESS_CODES
from avt_memocmt.errors import AvtError
from avt_memocmt.extraction.clip import store_manifest
from avt_memocmt.preprocessing.transcripts import Cue
from avt_memocmt.recipe.settings import EMBEDDED_RECIPE, load_recipe


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Every emotion in the words, the sound and the faces of every part."""
    folder = tmp_path / "data"
    for split, dialogues in (("train", (0, 1, 9)), ("dev", (0,))):
        rows = [
            Row(dialogue, turn, f"oh my god it is {name}", "Joey", name)
            for dialogue in dialogues
            for turn, name in enumerate(EMOTIONS)
        ]
        write_table(folder / "meld" / f"{split}_sent_emo.csv", rows)
    for actor in (1, 2, 15, 16):
        for number, code in enumerate(RAVDESS_CODES):
            name = f"03-01-{code}-01-01-01-{actor:02d}.flac"
            write_flac(folder / "ravdess" / name, speech_like(0.6 + 0.05 * number, level=0.2))
    for split in ("train", "valid"):
        write_faces(folder / "ferplus" / f"{split}.parquet")
    write_labelled_faces(folder / "faces" / "rafdb_train.parquet", None)
    write_labelled_faces(folder / "faces" / "kdef.parquet", [f"F{n:02d}" for n in range(10)])
    return folder


def write_flac(path: Path, sound: NDArray[np.float32]) -> None:
    path.parent.mkdir(exist_ok=True)
    frame = av.AudioFrame.from_ndarray((sound[None] * 32767).astype("<i2"), layout="mono")
    frame.sample_rate = 16_000
    with av.open(str(path), "w", format="flac") as file:
        stream = file.add_stream("flac", rate=16_000, layout="mono")
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            file.mux(packet)


def write_faces(path: Path) -> None:
    """Pictures that ten annotators agree on; the emotions in turn, ten of each at a time."""
    path.parent.mkdir(exist_ok=True)
    generator = np.random.default_rng(0)
    pictures, votes = [], []
    for row in range(140):
        stored = io.BytesIO()
        grey = generator.integers(0, 256, (48, 48), dtype=np.uint8)
        Image.fromarray(grey).save(stored, "png")
        pictures.append(stored.getvalue())
        shown = EMOTIONS[row // 10 % len(EMOTIONS)]
        votes.append([10 * (FERPLUS_VOTES.index(shown) == i) for i in range(len(FERPLUS_VOTES))])
    parquet.write_table(pa.table({"png": pictures, "votes": votes}), path)


def write_labelled_faces(path: Path, people: list[str] | None) -> None:
    """Pictures in colour; the emotions in turn, seven of each, or seven of each person."""
    path.parent.mkdir(exist_ok=True)
    generator = np.random.default_rng(1)
    rows = range(7 * len(people) if people else 140)
    pictures = []
    for _ in rows:
        stored = io.BytesIO()
        Image.fromarray(generator.integers(0, 256, (60, 60, 3), dtype=np.uint8)).save(stored, "png")
        pictures.append(stored.getvalue())
    # One in twenty of RAF-DB's rows is held back, so that its emotions must not come in step.
    labels = [EMOTIONS[(row if people else row // 20) % len(EMOTIONS)] for row in rows]
    table = {"jpg": pictures, "label": labels}
    if people:
        table["person"] = [people[row // len(EMOTIONS)] for row in rows]
    parquet.write_table(pa.table(table), path)


def shortened(path: Path) -> Path:
    """The shipped recipe with one pass of every stage."""
    recipe = yaml.safe_load(EMBEDDED_RECIPE.read_text(encoding="utf-8"))
    stages = [recipe["text_teacher"], recipe["text"], recipe["fusion"], *recipe["face"]["rounds"]]
    for stage in (*stages, *recipe["branches"].values()):
        stage["epochs"] = 1
    for stage in recipe["face"]["rounds"]:
        stage.update(batch=64, small_epochs=1)
        stage["pictures"] = 128
    recipe["branches"]["visual"]["pictures"] = 128
    recipe["branches"]["audio"]["variants"] = 1
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return path


STAGES = (
    *("text_teacher_0", "text_teacher_1", "text_0", "text_1", "text_2", "text_3", "text_4"),
    *(
        "face_1_0",
        "face_2_0",
        "face_3_0",
        "face_4_0",
        "face_4_1",
        "audio_branch",
        "visual_branch",
        "text_branch",
        "fusion_0",
    ),
    *("without_speakers_0", "without_speakers_1"),
)


def test_one_command_makes_a_checkpoint_that_predicts_and_resumes(
    data: Path, tmp_path: Path
) -> None:
    teacher, work = save_tiny_mpnet(tmp_path / "mpnet"), tmp_path / "work"
    recipe = shortened(tmp_path / "recipe.yaml")
    command = ["make-weights", "--data", str(data), "--work", str(work), "--teacher", str(teacher)]
    start = write_face_start(tmp_path / "start")
    command += ["--recipe", str(recipe), "--face-start", str(start)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    folder = work / "checkpoint"
    assert {log.stem for log in (folder / "logs").iterdir()} == set(STAGES)
    for stage in STAGES:
        passes = (folder / "logs" / f"{stage}.jsonl").read_text().splitlines()
        assert [json.loads(line)["epoch"] for line in passes] == [1], stage
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["labels"] == list(EMOTIONS)
    assert {name: metrics["test"][name]["n"] for name in ("text", "audio", "visual")} == {
        "text": 7,
        "audio": 8,
        "visual": 140 + 7 + 7,
    }
    # A store by the same encoders is known as such, and others are refused.
    stored = FeatureStore(tmp_path, store_manifest(load_config(folder / "config.yaml"), folder))
    assert metrics["encoders"] == {m: stored.encoder_sha256(m) for m in MODALITIES}
    clip = next((data / "ravdess").iterdir())
    (turn,) = EmotionRecognizer.from_pretrained(folder).predict(clip, [Cue("oh no")]).utterances
    assert sum(turn.probabilities) == pytest.approx(1.0, abs=1e-5)

    made = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 0, again.output
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == made
    log = (folder / "logs" / "fusion_0.jsonl").read_text().splitlines()
    assert len(log) == 1


def test_a_wrong_recipe_is_named(tmp_path: Path) -> None:
    path = shortened(tmp_path / "recipe.yaml")
    recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
    recipe["fusion"]["epochs"] = 0
    recipe["novelty"]["unknown"] = 1
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    with pytest.raises(AvtError, match=r"fusion\.epochs: .*novelty\.unknown: unknown key"):
        load_recipe(path)
