"""Rows of a manifest that name windows of one film are read as each alone would be."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from footage import Spoken
from media_factory import truncate, write_media
from PIL import Image

from avt_memocmt import EmotionRecognizer
from avt_memocmt.errors import AvtError
from avt_memocmt.inference.clips import ClipReader, read_clip
from avt_memocmt.inference.utterances import Utterance
from avt_memocmt.preprocessing.audio_preprocess import load_audio

Row = tuple[str, float, float | None]
ROWS: list[Row] = [
    ("film.ts", 0.3, 1.6),
    ("film.ts", 1.2, 2.8),  # overlaps
    ("film.ts", 1.2, 2.8),  # again
    ("film.ts", 3.4, 5.9),
    ("film.ts", 4.0, 5.0),  # inside the one before
    ("film.ts", 6.4, 7.4),
    ("film.ts", 8.0, 14.0),  # most of it is beyond the end
    ("film.ts", 20.0, 22.0),  # all of it is
    ("film.ts", 7.5, 7.0),  # ends before it starts
    ("film.ts", 7.5, None),
    ("film.ts", 2.0, 3.0),  # runs back
    ("face.png", 0.0, None),
    ("face.png", 0.0, None),
    ("film.ts", 3.5, 4.5),
    ("film.ts", 5.5, 6.5),
    ("broken.mp4", 0.0, 1.0),
    ("broken.mp4", 1.0, 2.0),
    ("missing.ts", 0.0, 1.0),
    ("missing.ts", 1.0, 2.0),
]


@pytest.fixture(scope="module")
def folder(talking_clips: list[Spoken], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three films of a talking face as one of 9 s, a picture of it and a broken film."""
    folder = tmp_path_factory.mktemp("rows")
    images, sound = [], []
    for clip in talking_clips[:3]:
        with av.open(str(clip.path)) as film:
            images += [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)][:75]
        sound.append(load_audio(clip.path)[:48_000])
    Image.fromarray(images[0]).save(folder / "face.png")
    times = np.arange(len(images)) / 25
    parts = {"picture_times": times, "sound": np.concatenate(sound), "images": images}
    write_media(folder / "film.ts", size=images[0].shape[1::-1], **parts)
    truncate(write_media(folder / "broken.mp4", picture_times=times[:75]), 0.5)
    return folder


def answer(read: ClipReader | None, recognizer: EmotionRecognizer, path: Path, row: Row) -> object:
    """What reading a row gives, in a form that can be compared, or the sentence of its error."""
    try:
        if read is not None:
            found = read.read(path, *row[1:])
        else:
            found = read_clip(path, recognizer.config, recognizer._detector, *row[1:])
    except AvtError as error:
        return str(error)
    return described(found)


def described(found: Utterance) -> object:
    samples = None if found.samples is None else found.samples.tobytes()
    faces = [(face.time, face.crop.tobytes(), face.n_faces, face.track) for face in found.faces]
    return found.start, found.end, samples, faces, found.is_speech, sorted(found.warnings)


def test_rows_get_what_each_alone_gets(recognizer: EmotionRecognizer, folder: Path) -> None:
    sentences, faces = 0, 0
    with recognizer.new_clip_reader() as clips:
        for row in ROWS:
            path = folder / row[0]
            alone = answer(None, recognizer, path, row)
            assert answer(clips, recognizer, path, row) == alone, row
            sentences += isinstance(alone, str)
            faces += isinstance(alone, tuple) and len(alone[3]) > 0
    assert (sentences, faces) == (7, 12)
