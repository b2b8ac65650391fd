"""Writes the manifests that the README's figures are measured on: the `report` parts.

    python scripts/make_manifests.py DATA OUT
    avt-memocmt evaluate --manifest OUT/meld_dev.csv      words in dialogue, past turns only
    avt-memocmt evaluate --manifest OUT/ravdess.csv       sound alone, actors 16 to 18
    avt-memocmt evaluate --manifest OUT/ferplus.csv       faces alone, FER+ validation pictures

DATA holds meld/, ravdess/ and ferplus/. Nothing in these parts was trained on or selected with.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from avt_memocmt.data.corpora import ferplus_faces, meld_dialogues, speech_clips
from avt_memocmt.emotions import EMOTIONS

COLUMNS = ("path", "text", "emotion", "dialogue_id", "utterance_id", "speaker")
Row = tuple[str, ...]


def meld_rows(data: Path) -> Iterator[Row]:
    """Words, speakers and dialogues of MELD's dev split."""
    for dialogue in meld_dialogues(data, "report"):
        for turn in dialogue.turns:
            numbers = str(dialogue.dialogue_id), str(turn.utterance_id)
            yield "", turn.text, EMOTIONS[turn.emotion], *numbers, turn.speaker


def ravdess_rows(data: Path) -> Iterator[Row]:
    """Sound of the RAVDESS actors that were kept back."""
    for clip in speech_clips(data):
        if clip.part == "report":
            yield str(clip.path.resolve()), "", EMOTIONS[clip.emotion], "", "", clip.speaker


def ferplus_rows(data: Path, folder: Path) -> Iterator[Row]:
    """FER+ validation pictures whose majority vote is one of the seven classes, written as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    faces = ferplus_faces(data, "report")
    for row, (picture, label) in enumerate(zip(faces.pictures, faces.majority, strict=True)):
        if label >= 0:
            path = folder / f"{row:05d}.png"
            Image.fromarray(picture).save(path)
            yield str(path.resolve()), "", EMOTIONS[label], "", "", ""


def main(data: Path, out: Path) -> None:
    """Write the three manifests."""
    out.mkdir(parents=True, exist_ok=True)
    manifests = {
        "meld_dev": meld_rows(data),
        "ravdess": ravdess_rows(data),
        "ferplus": ferplus_rows(data, out / "ferplus"),
    }
    for name, rows in manifests.items():
        with (out / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows(rows)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
