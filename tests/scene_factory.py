"""Scenes of two or more talkers, put together from films of one talker each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from media_factory import write_media
from numpy.typing import NDArray

from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.preprocessing.audio_preprocess import load_audio
from avt_memocmt.preprocessing.video_preprocess import sample_frames

RATE = 25
BEFORE_WORD = 5
"""Pictures at the start of a clip in which the mouth is at rest."""

Pictures = NDArray[np.uint8]
"""RGB [pictures, height, width, 3]."""


def pictures_of(clip: Path) -> Pictures:
    """All pictures of a film."""
    return np.stack([frame.image for frame in sample_frames(clip, RATE)])


def at_rest(pictures: Pictures) -> Pictures:
    """The same person for as long with the mouth at rest: the start, forwards and backwards."""
    start = np.concatenate([pictures[:BEFORE_WORD], pictures[BEFORE_WORD - 2 : 0 : -1]])
    return start[np.arange(len(pictures)) % len(start)]


def beside(*people: Pictures) -> Pictures:
    """People side by side, from left to right."""
    length = min(map(len, people))
    return np.concatenate([pictures[:length] for pictures in people], axis=2)


def write_scene(
    path: Path, pictures: Pictures | Sequence[NDArray[np.uint8]], heard: Path | None
) -> Path:
    """Write a film of pictures, with the sound of a clip."""
    height, width = pictures[0].shape[:2]
    return write_media(
        path,
        picture_times=[index / RATE for index in range(len(pictures))],
        sound=None if heard is None else load_audio(heard),
        rate=SAMPLE_RATE,
        size=(width, height),
        images=list(pictures),
        audio_codec="pcm_s16le",
        video_options={"crf": "18", "preset": "ultrafast"},
    )
