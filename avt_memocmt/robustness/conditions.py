"""The conditions under which a checkpoint is tried: clean, and damaged in known ways."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from avt_memocmt.config import Config
from avt_memocmt.errors import AvtError
from avt_memocmt.robustness.corruptions import (
    Samples,
    add_at_snr,
    babble_noise,
    blur,
    darken,
    occlude,
    white_noise,
)
from avt_memocmt.robustness.samples import (
    SEED,
    Failures,
    Sample,
    babble_voices,
    face_samples,
    line_samples,
    meetings,
    sound_samples,
)

SNRS_DB = (20, 10, 0)
TALKERS = 6
BLUR_PIXELS = (1, 2)
"""Standard deviations in pixels of a FER+ picture, which is 48 x 48."""
DARK_STOPS = (2, 4)
SENSOR_NOISE = 0.005
"""Standard deviation, as a share of the light of a white pixel before it gets dark."""
OCCLUDED_SHARES = (0.15, 0.30)

Damage = Callable[[Sample, np.random.Generator], Sample]
Noise = Callable[[int, np.random.Generator], Samples]


@dataclass(frozen=True)
class Condition:
    """A kind and strength of damage, both told by the name; without `damage` there is none."""

    name: str
    damage: Damage = lambda sample, generator: sample


@dataclass(frozen=True)
class Trial:
    """Samples, and the conditions under which they are recognised.

    Attributes:
        name: short, unique.
        about: what the samples are.
        samples: those that cannot be read are errors under every condition.
        conditions: the others are compared with the first.
        failures: of the samples that cannot be read.
    """

    name: str
    about: str
    samples: list[Sample]
    conditions: list[Condition]
    failures: Failures

    def damaged(self, condition: Condition) -> list[Sample]:
        """The samples under a condition; the noise of each depends on its position alone."""
        return [
            condition.damage(sample, np.random.default_rng([SEED, place]))
            for place, sample in enumerate(self.samples)
        ]


def make_trials(data: Path, config: Config, limit: int) -> list[Trial]:
    """RAVDESS sound, FER+ faces, and synthetic meetings.

    Args:
        data: folder with ravdess/, ferplus/ and meld/.
        config: of the checkpoint to be tried.
        limit: clips and pictures at most, drawn with `SEED`.

    Raises:
        AvtError: a corpus is missing, or has too few readable clips.
    """
    voices = babble_voices(data, config)
    if len(voices) < TALKERS:
        raise AvtError(
            f"{data / 'ravdess'} has {len(voices)} readable clips of the actors 1 to 15, babble "
            f"needs {TALKERS}; give a folder with the whole corpus."
        )
    sounds, failures = sound_samples(data, config, limit)
    faces = face_samples(data, limit)
    met = meetings(sounds, faces, line_samples(data))
    if not met:
        raise AvtError(f"no face and line fit any of the {len(sounds)} sounds; raise --limit.")
    speakers = len({sample.speaker for sample in sounds})
    return [
        Trial(
            "RAVDESS sound",
            f"{len(sounds)} acted sentences of {speakers} speakers, without their words. The "
            "intervals draw clips; of other speakers they say nothing.",
            sounds,
            [Condition("clean"), *sound_conditions(voices)],
            failures,
        ),
        Trial(
            "FER+ faces",
            f"{len(faces)} validation pictures of 48 x 48 pixels (--limit {limit}), damaged before "
            "a face is searched in them. Where none is found, the whole picture is taken as one.",
            faces,
            [Condition("clean"), *face_conditions()],
            [],
        ),
        Trial(
            "synthetic meetings",
            f"{len(met)} times a RAVDESS voice, a FER+ face and a line of MELD's dev split with "
            "the same label, from three people: no conversations.",
            met,
            [Condition("sound, face and words"), *removals()],
            [],
        ),
    ]


def sound_conditions(voices: Sequence[Samples]) -> list[Condition]:
    """White noise, and babble of the given voices, at `SNRS_DB`."""

    def babble(length: int, generator: np.random.Generator) -> Samples:
        return babble_noise(voices, length, TALKERS, generator)

    return [
        Condition(f"{name}, SNR {snr} dB", _noisy(noise, snr))
        for name, noise in (("white noise", white_noise), ("babble", babble))
        for snr in SNRS_DB
    ]


def face_conditions() -> list[Condition]:
    """Blur, darkness and occlusion, two strengths of each."""
    return [
        *(Condition(f"blur, sigma {sigma} px", _blurred(sigma)) for sigma in BLUR_PIXELS),
        *(Condition(f"darker by {stops} stops", _darkened(stops)) for stops in DARK_STOPS),
        *(
            Condition(f"{100 * share:.0f} % occluded", _occluded(share))
            for share in OCCLUDED_SHARES
        ),
    ]


def removals() -> list[Condition]:
    """Conditions with one modality removed, then with two."""
    kept = {
        "without sound": ("picture", "words"),
        "without face": ("sound", "words"),
        "without words": ("sound", "picture"),
        "sound alone": ("sound",),
        "face alone": ("picture",),
        "words alone": ("words",),
    }
    return [Condition(name, _only(*parts)) for name, parts in kept.items()]


def _noisy(noise: Noise, snr_db: float) -> Damage:
    def mixed(sound: Samples, generator: np.random.Generator) -> Samples:
        return add_at_snr(sound, noise(len(sound), generator), snr_db)

    return _changed("sound", mixed)


def _blurred(sigma: float) -> Damage:
    return _changed("picture", lambda picture, _: blur(picture, sigma))


def _darkened(stops: float) -> Damage:
    return _changed("picture", lambda picture, rng: darken(picture, stops, SENSOR_NOISE, rng))


def _occluded(share: float) -> Damage:
    return _changed("picture", lambda picture, rng: occlude(picture, share, rng))


def _changed(part: str, change: Callable[[Any, np.random.Generator], Any]) -> Damage:
    """Change the sound or the picture of a sample that has it."""

    def damage(sample: Sample, generator: np.random.Generator) -> Sample:
        found = getattr(sample, part)
        return sample if found is None else replace(sample, **{part: change(found, generator)})

    return damage


def _only(*kept: str) -> Damage:
    nothing = {"sound": None, "picture": None, "words": ""}
    removed: dict[str, Any] = {name: nothing[name] for name in nothing if name not in kept}
    return lambda sample, generator: replace(sample, **removed)
