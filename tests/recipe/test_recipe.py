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
from media_factory import speech_like
from meld_factory import Row, write_table
from numpy.typing import NDArray
from PIL import Image
from tiny_encoders import save_tiny_mpnet
from typer.testing import CliRunner

from avt_memocmt import EmotionRecognizer
from avt_memocmt.cli import app
from avt_memocmt.emotions import EMOTIONS, FERPLUS_VOTES, RAVDESS_CODES
from avt_memocmt.preprocessing.transcripts import Cue
from avt_memocmt.recipe import examples as fusion_data
from avt_memocmt.recipe import face, fusion, text, text_teacher
from avt_memocmt.recipe import unimodal as branches
from avt_memocmt.recipe.make_weights import STAGES


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


def shorten(monkeypatch: pytest.MonkeyPatch) -> None:
    """One pass of every stage."""
    for module in (text, text_teacher, fusion):
        monkeypatch.setattr(module, "EPOCHS", 1)
    for name in ("CLIP_EPOCHS", "FACE_EPOCHS", "DIALOGUE_EPOCHS"):
        monkeypatch.setattr(branches, name, 1)
    rounds = tuple(face.Round(plan.folder, (64,), 64, 1e-3) for plan in face.ROUNDS)
    monkeypatch.setattr(face, "ROUNDS", rounds)
    monkeypatch.setattr(fusion, "FACES_PER_EPOCH", 128)
    monkeypatch.setattr(fusion_data, "SPEECH_VARIANTS", 1)


def test_one_command_makes_a_checkpoint_that_predicts_and_resumes(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten(monkeypatch)
    teacher, work = save_tiny_mpnet(tmp_path / "mpnet"), tmp_path / "work"
    command = ["make-weights", "--data", str(data), "--work", str(work), "--teacher", str(teacher)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    folder = work / "checkpoint"
    for stage in (*STAGES, "without_speakers_0", "without_speakers_1"):
        passes = (folder / "logs" / f"{stage}.jsonl").read_text().splitlines()
        assert [json.loads(line)["epoch"] for line in passes] == [1], stage
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["labels"] == list(EMOTIONS)
    assert {name: metrics["test"][name]["n"] for name in ("text", "audio", "visual")} == {
        "text": 7,
        "audio": 8,
        "visual": 140,
    }
    clip = next((data / "ravdess").iterdir())
    (turn,) = EmotionRecognizer.from_pretrained(folder).predict(clip, [Cue("oh no")]).utterances
    assert sum(turn.probabilities) == pytest.approx(1.0, abs=1e-5)

    made = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 0, again.output
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == made
    log = (folder / "logs" / "fusion_0.jsonl").read_text().splitlines()
    assert len(log) == 1
