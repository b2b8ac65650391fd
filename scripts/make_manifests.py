"""Writes the manifests that the README's figures are measured on: the `test` parts.

    python scripts/make_manifests.py DATA OUT
    avt-memocmt evaluate --manifest OUT/meld_dev.csv        words in dialogue, past turns only
    avt-memocmt evaluate --manifest OUT/ravdess.csv         sound alone, actors 16 to 18
    avt-memocmt evaluate --manifest OUT/ferplus.csv         faces alone, FER+ validation pictures
    avt-memocmt evaluate --manifest OUT/ferplus_majority.csv  those with a majority
    avt-memocmt evaluate --manifest OUT/rafdb.csv           faces in colour, in the wild
    avt-memocmt evaluate --manifest OUT/kdef.csv            posed faces of five people
    avt-memocmt evaluate --manifest OUT/imfdb.csv --by age --by gender --by film
                                                            faces of seven actors in films
    avt-memocmt evaluate --manifest OUT/pairs.csv           synthetic pairs: a voice, a face, a line
    avt-memocmt evaluate --manifest OUT/pairs_720.csv       each voice with four faces and lines

DATA holds meld/, ravdess/, ferplus/ and faces/. Nothing in these parts was trained on or selected
with. A synthetic pair is a film of one FER+ picture with the voice of a RAVDESS clip, and a line of
MELD, all of the same label; picture and line are drawn with seed 0. The 180 voices make 180 pairs.
The 720 pairs begin with these; so many are needed for a reliable calibration error.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avt_memocmt.data.corpora import meld_dialogues, speech_clips
from avt_memocmt.data.face_corpora import Faces, face_corpora, ferplus_faces
from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.preprocessing.audio_preprocess import load_audio

COLUMNS = ("path", "text", "emotion", "dialogue_id", "utterance_id", "speaker")
Row = tuple[str, ...]
SIDE, FRAMES_PER_SECOND = 192, 4
ROUNDS = 4


def meld_rows(data: Path) -> Iterator[Row]:
    """Words, speakers and dialogues of MELD's dev split."""
    for dialogue in meld_dialogues(data, "test"):
        for row in dialogue:
            numbers = str(row.key.dialogue_id), str(row.key.utterance_id)
            yield "", row.text, EMOTIONS[row.emotion], *numbers, row.speaker


def ravdess_rows(data: Path) -> Iterator[Row]:
    """Sound of the RAVDESS actors of the test part."""
    for clip in speech_clips(data):
        if clip.part == "test":
            yield str(clip.path.resolve()), "", EMOTIONS[clip.emotion], "", "", clip.speaker


def ferplus_rows(data: Path, folder: Path, agreement: float = 0.0) -> Iterator[Row]:
    """FER+ validation pictures with most votes for one of the seven classes, written as PNG.

    Args:
        agreement: only those with more than this `Faces.agreement`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    faces = ferplus_faces(data, "test")
    for row, label in enumerate(faces.majority):
        if label >= 0 and faces.agreement[row] > agreement:
            path = folder / f"{row:05d}.png"
            Image.fromarray(faces.picture(row)[:, :, 0]).save(path)
            yield str(path.resolve()), "", EMOTIONS[label], "", "", ""


def face_rows(faces: Faces, folder: Path) -> Iterator[Row]:
    """Pictures as their corpus stores them; the person is the speaker, and its details follow."""
    folder.mkdir(parents=True, exist_ok=True)
    people = faces.people or [""] * len(faces)
    for row, content in enumerate(faces.files):
        path = folder / f"{row:05d}.jpg"
        path.write_bytes(content)
        label = EMOTIONS[faces.majority[row]]
        details = (values[row] for values in faces.details.values())
        yield str(path.resolve()), "", label, "", "", people[row], *details


def pair_rows(data: Path, folder: Path) -> Iterator[Row]:
    """`ROUNDS` synthetic pairs for each RAVDESS clip of the test part, written as MKV."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(0)
    faces = ferplus_faces(data, "test")
    lines = [row for dialogue in meld_dialogues(data, "test") for row in dialogue]
    clips = [clip for clip in speech_clips(data) if clip.part == "test"]
    for number in range(ROUNDS):
        for clip in clips:
            face = draw.choice(np.flatnonzero(faces.majority == clip.emotion))
            line = draw.choice([row.text for row in lines if row.emotion == clip.emotion])
            path = folder / f"{clip.path.stem}_{number}.mkv"
            write_film(path, faces.picture(face)[:, :, 0], load_audio(clip.path))
            yield str(path.resolve()), str(line), EMOTIONS[clip.emotion], "", "", ""


def write_film(path: Path, picture: NDArray[np.uint8], samples: NDArray[np.float32]) -> None:
    """A still grey picture, enlarged, four frames a second, with mono 16 kHz sound."""
    large = Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    frame = av.VideoFrame.from_ndarray(np.asarray(large.convert("RGB")), format="rgb24")
    with av.open(str(path), "w") as film:
        video = film.add_stream("ffv1", rate=FRAMES_PER_SECOND, width=SIDE, height=SIDE)
        video.pix_fmt = "yuv420p"
        audio = film.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout="mono")
        for number in range(max(1, round(len(samples) / SAMPLE_RATE * FRAMES_PER_SECOND))):
            frame.pts = number
            film.mux(video.encode(frame))
        film.mux(video.encode(None))
        sound = av.AudioFrame.from_ndarray(
            (samples * 32767).astype(np.int16)[None], format="s16", layout="mono"
        )
        sound.sample_rate = SAMPLE_RATE
        film.mux(audio.encode(sound))
        film.mux(audio.encode(None))


def main(data: Path, out: Path) -> None:
    """Write the manifests."""
    out.mkdir(parents=True, exist_ok=True)
    pairs = list(pair_rows(data, out / "pairs"))
    manifests: dict[str, Iterable[Row]] = {
        "meld_dev": meld_rows(data),
        "ravdess": ravdess_rows(data),
        "ferplus": ferplus_rows(data, out / "ferplus"),
        "ferplus_majority": ferplus_rows(data, out / "ferplus", agreement=0.5),
        "pairs": pairs[: len(pairs) // ROUNDS],
        "pairs_720": pairs,
    }
    columns = dict.fromkeys(manifests, COLUMNS)
    for faces in face_corpora(data, "test"):
        if faces.corpus not in manifests:
            manifests[faces.corpus] = face_rows(faces, out / faces.corpus)
            columns[faces.corpus] = (*COLUMNS, *faces.details)
    for name, rows in manifests.items():
        with (out / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns[name])
            writer.writerows(rows)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
