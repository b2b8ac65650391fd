"""The corpora that the embedded model is trained on, each cut into three parts without overlap.

`train` is trained on, `validation` chooses the epoch and the settings, `test` is measured once and
gives the figures in the documentation. Speech is cut by actor, dialogues by position; for faces see
`face_corpora.py`.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

from avt_memocmt.data.meld.table import MeldRow, read_meld_table
from avt_memocmt.emotions import EMOTIONS, RAVDESS_CODES, emotion_index
from avt_memocmt.errors import AvtError

Part = Literal["train", "validation", "test"]

RAVDESS_STATEMENTS = {
    "01": "Kids are talking by the door.",
    "02": "Dogs are sitting by the door.",
}
_VALIDATION_SPEAKERS = {
    "ased": ["s05", "s15", "s25", "s35", "s45", "s55"],
    "emovo": ["m3"],
    "nemo": ["SM0"],
    "urdu": ["SM7", "SF6"],
    "tess": [],
}
_ASED_SENTENCES = ("06", "07")
"""Said in every emotion; each of the others belongs to one, so that its words give it away."""
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
    """RAVDESS, ASED, EMOVO, nEMO, TESS and URDU clips, of the corpora that the folder holds.

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
            if corpus == "ased" and Path(row["path"]).stem.split("-")[1] not in _ASED_SENTENCES:
                continue
            part: Part = "validation" if row["speaker"] in _VALIDATION_SPEAKERS[corpus] else "train"
            text = f"Say the word {row['path'].split('_')[-2]}." if corpus == "tess" else ""
            emotion, path = emotion_index(row["emotion7"]), folder / row["path"]
            clips.append(SpeechClip(path, corpus, row["speaker"], text, emotion, part))
    return clips
