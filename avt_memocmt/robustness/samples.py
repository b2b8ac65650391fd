"""The samples that robustness is measured on: sounds, faces, and combinations with words.

All come from the `test` parts of `data.corpora`, on which nothing was trained or selected.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.config import Config
from avt_memocmt.data.corpora import SpeechClip, meld_dialogues, speech_clips
from avt_memocmt.data.face_corpora import ferplus_faces
from avt_memocmt.emotions import NUM_EMOTIONS
from avt_memocmt.errors import AvtError
from avt_memocmt.inference.clips import read_clip
from avt_memocmt.robustness.corruptions import Picture, Samples

SEED = 0
"""Seed of every random choice: subsets, combinations, damage."""
VOICES = 60
"""How many RAVDESS clips of other speakers babble is mixed from."""

Failures = list[tuple[str, str]]
"""(name, reason) of samples that cannot be read."""


@dataclass(frozen=True)
class Sample:
    """One labelled input; one that cannot be read has neither sound, picture nor words.

    Attributes:
        name: of the clip, or the row of the picture.
        emotion: index into `EMOTIONS`.
        speaker: of the sound, "" where there is none.
        sound: float32 mono 16 kHz, or None.
        picture: uint8 grey [height, width] of a face, or None.
        words: or "".
    """

    name: str
    emotion: int
    speaker: str = ""
    sound: Samples | None = None
    picture: Picture | None = None
    words: str = ""


def samples_sha256(samples: Sequence[Sample]) -> str:
    """SHA-256 of everything in the samples, as hexadecimal text."""
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(repr((sample.name, sample.emotion, sample.words)).encode())
        for array in (sample.sound, sample.picture):
            digest.update(b"none" if array is None else array.tobytes())
    return digest.hexdigest()


def sound_samples(data: Path, config: Config, limit: int) -> tuple[list[Sample], Failures]:
    """RAVDESS clips of the speakers kept back, without their words.

    Args:
        data: folder with ravdess/.
        config: of the checkpoint that will hear them.
        limit: at most so many, drawn with `SEED`.

    Raises:
        AvtError: none can be read.
    """
    clips = _ravdess(data, test=True)
    chosen = [clips[i] for i in _subset(len(clips), limit)]
    samples, failures = _read(chosen, config)
    if len(failures) == len(samples):
        raise AvtError(f"{data / 'ravdess'} holds no readable clip of the actors 16 to 18.")
    return samples, failures


def babble_voices(data: Path, config: Config) -> list[Samples]:
    """At most `VOICES` RAVDESS clips of speakers that are not measured."""
    clips = _ravdess(data, test=False)
    samples, _ = _read([clips[i] for i in _subset(len(clips), VOICES)], config)
    return [sample.sound for sample in samples if sample.sound is not None]


def face_samples(data: Path, limit: int) -> list[Sample]:
    """FER+ validation pictures whose majority vote is one of the seven classes.

    Args:
        data: folder with ferplus/.
        limit: at most so many, drawn with `SEED`.

    Raises:
        AvtError: the table is missing.
    """
    faces = ferplus_faces(data, "test")
    known = np.flatnonzero(faces.majority >= 0)
    return [
        Sample(f"row {row}", int(faces.majority[row]), picture=faces.picture(row)[:, :, 0])
        for row in known[_subset(len(known), limit)]
    ]


def line_samples(data: Path) -> list[Sample]:
    """The lines of MELD's dev split, each without its dialogue.

    Raises:
        AvtError: the transcript is missing.
    """
    return [
        Sample(f"dia{row.key.dialogue_id}_utt{row.key.utterance_id}", row.emotion, words=row.text)
        for dialogue in meld_dialogues(data, "test")
        for row in dialogue
        if row.text
    ]


def meetings(
    sounds: Sequence[Sample], faces: Sequence[Sample], lines: Sequence[Sample]
) -> list[Sample]:
    """Combine each sound with a random face and a random line of the same label.

    No corpus at hand records all three at once, so they come from three different people. Sounds
    that cannot be read, and those without a face or line of their label, are left out.
    """
    generator = np.random.default_rng(SEED)
    by_label = [
        [[s for s in side if s.emotion == label] for side in (faces, lines)]
        for label in range(NUM_EMOTIONS)
    ]
    met = []
    for sound in sounds:
        faces_fit, lines_fit = by_label[sound.emotion]
        if sound.sound is not None and faces_fit and lines_fit:
            face = faces_fit[generator.integers(len(faces_fit))]
            line = lines_fit[generator.integers(len(lines_fit))]
            met.append(replace(sound, picture=face.picture, words=line.words))
    return met


def _ravdess(data: Path, *, test: bool) -> list[SpeechClip]:
    return [
        clip
        for clip in speech_clips(data)
        if clip.corpus == "ravdess" and (clip.part == "test") == test
    ]


def _read(clips: Sequence[SpeechClip], config: Config) -> tuple[list[Sample], Failures]:
    samples, failures = [], []
    for clip in clips:
        sample = Sample(clip.path.name, clip.emotion, clip.speaker)
        try:
            heard = read_clip(clip.path, config, detector=None)
        except AvtError as error:
            failures.append((clip.path.name, str(error)))
        else:
            sample = replace(sample, sound=heard.samples)
            if heard.samples is None:
                failures.append((clip.path.name, "it has no audible sound."))
        samples.append(sample)
    return samples, failures


def _subset(count: int, limit: int) -> NDArray[np.int64]:
    """At most `limit` positions out of `count`, in order; always the same for the same numbers."""
    return np.sort(np.random.default_rng(SEED).permutation(count)[:limit])
