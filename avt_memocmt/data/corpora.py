"""The corpora that the embedded model is trained on, each cut into three parts without overlap.

`train` is trained on, `validation` chooses the epoch and the settings, `test` is measured once and
gives the figures in the documentation. Speech is cut by actor, dialogues and faces by position.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.data.meld.table import MeldRow, read_meld_table
from avt_memocmt.emotions import EMOTIONS, FERPLUS_VOTES, RAVDESS_CODES, emotion_index
from avt_memocmt.errors import AvtError

Part = Literal["train", "validation", "test"]

RAVDESS_STATEMENTS = {
    "01": "Kids are talking by the door.",
    "02": "Dogs are sitting by the door.",
}
_VALIDATION_SPEAKERS = {"emovo": ["m3"], "nemo": ["SM0"], "urdu": ["SM7", "SF6"], "tess": []}
_RAVDESS_PARTS: dict[int, Part] = {15: "validation", 16: "test", 17: "test", 18: "test"}


@dataclass(frozen=True)
class SpeechClip:
    """One acted or broadcast sentence. `text` is "" where the words are not known."""

    path: Path
    corpus: str
    speaker: str
    text: str
    emotion: int
    part: Part


@dataclass(frozen=True)
class Faces:
    """FER+ pictures.

    Attributes:
        pictures: uint8 grey [n, 48, 48].
        votes: float32 [n, 7], share of the annotators' votes for each of `EMOTIONS`; rows sum to 1.
        majority: int64 [n], the class with most votes of all ten columns, -1 where that is
            contempt, unknown or not-a-face.
        agreement: float32 [n], share of the votes that went to that class, single votes left out:
            above one half is a majority as the authors of FER+ define it (Barsoum et al. 2016).
    """

    pictures: NDArray[np.uint8]
    votes: NDArray[np.float32]
    majority: NDArray[np.int64]
    agreement: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.pictures)

    def subset(self, index: NDArray[np.int64]) -> Faces:
        """The rows at `index`."""
        return Faces(
            self.pictures[index], self.votes[index], self.majority[index], self.agreement[index]
        )


def meld_dialogues(data: Path, part: Part) -> list[list[MeldRow]]:
    """Dialogues of MELD's transcripts, each as its rows in order.

    `train` and `validation` are nine and one tenth of its train split, `test` is its dev split. Its
    test split is not read here.

    Raises:
        AvtError: as `read_meld_table`.
    """
    split = "dev" if part == "test" else "train"
    rows = read_meld_table(data / "meld" / f"{split}_sent_emo.csv", split)
    dialogues = groupby(rows, lambda row: row.key.dialogue_id)
    return [
        list(turns)
        for number, turns in dialogues
        if part == "test" or (number % 10 == 9) == (part == "validation")
    ]


def speech_clips(data: Path) -> list[SpeechClip]:
    """RAVDESS, TESS, EMOVO, nEMO and URDU clips, of the corpora that the folder holds.

    Only RAVDESS has a `test` part, the actors 16 to 18, who are in no other part.
    """
    clips = [_ravdess_clip(path) for path in sorted((data / "ravdess").glob("*.flac"))]
    for corpus in sorted(_VALIDATION_SPEAKERS):
        clips += _labelled_clips(data / "speech" / corpus, corpus)
    if not clips:
        raise AvtError(f"{data} holds no speech corpus (ravdess/, speech/*/labels.tsv).")
    return clips


def _ravdess_clip(path: Path) -> SpeechClip:
    fields = path.stem.split("-")
    actor = int(fields[6])
    part = _RAVDESS_PARTS.get(actor, "train")
    emotion = EMOTIONS.index(RAVDESS_CODES[fields[2]])
    text = RAVDESS_STATEMENTS[fields[4]]
    return SpeechClip(path, "ravdess", f"actor{actor:02d}", text, emotion, part)


def _labelled_clips(folder: Path, corpus: str) -> list[SpeechClip]:
    table = folder / "labels.tsv"
    if not table.is_file():
        return []
    clips = []
    with table.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            part: Part = "validation" if row["speaker"] in _VALIDATION_SPEAKERS[corpus] else "train"
            text = f"Say the word {row['path'].split('_')[-2]}." if corpus == "tess" else ""
            emotion, path = emotion_index(row["emotion7"]), folder / row["path"]
            clips.append(SpeechClip(path, corpus, row["speaker"], text, emotion, part))
    return clips


def ferplus_faces(data: Path, part: Part) -> Faces:
    """FER+ pictures: `train` and `validation` are nine and one tenth of its train split.

    `test` is its validation split. Pictures that no annotator gave one of the seven classes are
    left out. The test split is not read here.
    """
    folder = data / "ferplus"
    if part == "test":
        return _read_ferplus(folder / "valid.parquet")
    faces = _read_ferplus(folder / "train.parquet")
    held = np.arange(len(faces)) % 10 == 9
    return faces.subset(np.flatnonzero(held if part == "validation" else ~held))


def _read_ferplus(path: Path) -> Faces:
    import pyarrow.parquet as parquet
    from PIL import Image

    if not path.is_file():
        raise AvtError(f"{path} is missing; give a folder with the FER+ tables.")
    table = parquet.read_table(path, columns=["png", "votes"])
    votes = np.array(table.column("votes").to_pylist(), dtype=np.float32)
    files = map(io.BytesIO, table.column("png").to_pylist())
    pictures = np.stack([np.asarray(Image.open(file).convert("L"), np.uint8) for file in files])
    columns = [FERPLUS_VOTES.index(name) for name in EMOTIONS]
    ours = votes[:, columns]
    to_class = np.full(votes.shape[1], -1, dtype=np.int64)
    to_class[columns] = np.arange(len(EMOTIONS))
    majority = to_class[votes.argmax(axis=1)]
    keep = np.flatnonzero(ours.sum(axis=1) > 0)
    shares = ours / np.maximum(ours.sum(axis=1, keepdims=True), 1.0)
    counted = np.where(votes > 1, votes, 0.0)
    agreement = (counted.max(axis=1) / np.maximum(counted.sum(axis=1), 1.0)).astype(np.float32)
    return Faces(pictures, shares.astype(np.float32), majority, agreement).subset(keep)
