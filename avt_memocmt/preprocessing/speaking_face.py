"""Whose mouth moves with this sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from avt_memocmt.errors import AvtError
from avt_memocmt.matrix_product import product_on_one_thread
from avt_memocmt.preprocessing.mouth_movement import (
    CLOCK,
    MOVEMENTS,
    SOUND_FEATURES,
    Movement,
    movement,
    sound_features,
)
from avt_memocmt.preprocessing.mouth_shape import SPEAKING_FACE

Array = NDArray[np.float64]
MouthTrack = tuple[NDArray[np.floating], NDArray[np.floating]]
"""One face: times [m], seconds of the media, rising, and mouth shapes [m, 6]; m may be 0."""

MODEL_FILE = "speaking_face.safetensors"

DELAYS = range(-2, 7)
"""Steps by which the sound may come after the pictures: -0.08 to 0.24 s. Clips of broadcast series
were found up to 0.2 s late, more than people notice (ITU-R BT.1359)."""
_LIKELIEST_DELAY, _PER_STEP = 0.5, 0.08
"""Without a reason, sound and pictures fit; agreement that a step of delay must bring."""

_FEWEST_STEPS, _FEWEST_VOICED = 7, 3
"""Steps in which a mouth must be seen, and be seen while there is a voice, to say anything: 0.3 s,
which two pictures alone cannot cover."""
_LONGEST = 4.0
"""Seconds after which more of the same adds no more certainty: errors are not independent."""
_STILL = 0.02
"""Speed, in units a second, that the reader sees in a photo."""
_LARGEST = 8.0
"""Log-odds at most, either way."""


@dataclass(frozen=True)
class Match:
    """What one face and one sound have in common.

    Attributes:
        agreement: mean correlation of the movements that the sound leads one to expect with those
            that are seen, at the best delay, less what that delay costs.
        speed: natural log of the mean speed of the lips while there is a voice, units a second.
        seconds: voiced time in which the mouth is seen.
        delay: of the sound after the pictures, seconds.
    """

    agreement: float
    speed: float
    seconds: float
    delay: float


@dataclass(frozen=True)
class SpeakingFaceModel:
    """Expects the movements of a mouth from a sound, and weighs what is seen; all float64.

    A face is one of three: its own voice is heard; it is silent; or it says something else, or
    nothing, with its mouth moving. The odds against each of the others are a logistic regression.

    Attributes:
        mean: [`SOUND_FEATURES`], of the training sounds.
        scale: [`SOUND_FEATURES`], their standard deviations.
        weights: [`SOUND_FEATURES`, `MOVEMENTS`], of a ridge regression.
        silent: [5], log-odds of its own voice against silence: bias, speed, agreement, and both by
            the root of the seconds.
        other: [3], the same against other movement: bias, agreement, and that by the root.
    """

    mean: Array
    scale: Array
    weights: Array
    silent: Array
    other: Array

    def scores(
        self, samples: NDArray[np.float32], start: float, tracks: Sequence[MouthTrack]
    ) -> list[float]:
        """See `speaking_scores`."""
        return [
            0.0 if match is None else self.log_odds(match)
            for match in self.matches(samples, start, tracks)
        ]

    def matches(
        self, samples: NDArray[np.float32], start: float, tracks: Sequence[MouthTrack]
    ) -> list[Match | None]:
        """What each face and the sound have in common; None where too little is seen or heard."""
        if not tracks or not np.any(samples):
            return [None] * len(tracks)
        features, voiced = sound_features(samples)
        expected = product_on_one_thread((features - self.mean) / self.scale, self.weights)
        steps = len(voiced) + DELAYS.stop - DELAYS.start - 1
        return [
            best_match(expected, voiced, movement(times - start, shapes, 1 - DELAYS.stop, steps))
            for times, shapes in tracks
        ]

    def log_odds(self, match: Match) -> float:
        """That a face with such a match speaks."""
        root = np.sqrt(min(match.seconds, _LONGEST))
        speed, agreement = match.speed, match.agreement
        silent = self.silent @ (1.0, speed, agreement, speed * root, agreement * root)
        other = self.other @ (1.0, agreement, agreement * root)
        # Odds against either: 1 / (1 / a + 1 / b), from the odds a and b against each.
        odds = -np.logaddexp(-silent, -other)
        return float(np.clip(odds, -_LARGEST, _LARGEST))


def speaking_scores(
    samples: NDArray[np.float32], start: float, tracks: Sequence[MouthTrack]
) -> list[float]:
    """Log-odds that each face speaks what is heard.

    Args:
        samples: one utterance, float32 [n], mono, 16 kHz, at any level.
        start: where it starts, seconds of the media.
        tracks: the faces, each with the times of its pictures (12 to 30 a second will do) and its
            mouth's shapes from `MouthReader`. Pictures up to 0.25 s before the utterance help.

    Returns:
        One number for each track, between -8 and 8. Above 0: this face speaks; where several are,
        the largest. Below 0: it does not. Exactly 0.0: nothing can be told, because the mouth was
        hardly seen, or nothing is heard. So nobody who is seen speaks where none is above 0.

    Raises:
        AvtError: the weights, which ship with the package, are missing or broken.
    """
    return shipped_model().scores(samples, start, tracks)


@cache
def shipped_model() -> SpeakingFaceModel:
    """The model in this package.

    Raises:
        AvtError: its file is missing or broken.
    """
    return load_model(SPEAKING_FACE / MODEL_FILE)


def load_model(path: Path) -> SpeakingFaceModel:
    """Read a model that `recipe/mouth_movement.py` wrote.

    Raises:
        AvtError: the file is missing, or does not hold such a model.
    """
    shapes = {
        "mean": (SOUND_FEATURES,),
        "scale": (SOUND_FEATURES,),
        "weights": (SOUND_FEATURES, MOVEMENTS),
        "silent": (5,),
        "other": (3,),
    }
    try:
        held = {name: array.astype(np.float64) for name, array in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise AvtError(f"{path} cannot be read; install the package again.") from error
    if {name: array.shape for name, array in held.items()} != shapes:
        raise AvtError(f"{path} does not hold the speaking face's weights; install it again.")
    return SpeakingFaceModel(**held)


def best_match(expected: Array, voiced: NDArray[np.bool_], seen: Movement) -> Match | None:
    """Compare expected and seen movements at every delay of the sound.

    Args:
        expected: [steps, `MOVEMENTS`].
        voiced: bool [steps].
        seen: of the steps and of as many before and after them as `DELAYS` reach.

    Returns:
        The match at the best delay, or None where too little is seen.
    """
    best: Match | None = None
    steps = len(voiced)
    for delay in DELAYS:
        part = slice(DELAYS.stop - 1 - delay, DELAYS.stop - 1 - delay + steps)
        known, values = seen.known[part], seen.values[part]
        spoken = known & voiced
        if known.sum() < _FEWEST_STEPS or spoken.sum() < _FEWEST_VOICED:
            continue
        cost = _PER_STEP * abs(delay - _LIKELIEST_DELAY)
        agreement = _mean_correlation(expected[known], values[known]) - cost
        if best is None or agreement > best.agreement:
            speeds = values[spoken, MOVEMENTS // 2 :]
            speed = np.log(np.sqrt(np.square(speeds).mean()) + _STILL)
            best = Match(agreement, float(speed), float(spoken.sum() / CLOCK), delay / CLOCK)
    return best


def _mean_correlation(one: Array, other: Array) -> float:
    """The mean over columns of Pearson correlations of [n, columns]; 0 where nothing varies."""
    one, other = one - one.mean(axis=0), other - other.mean(axis=0)
    size = np.sqrt(np.square(one).sum(axis=0) * np.square(other).sum(axis=0))
    return float(((one * other).sum(axis=0) / np.maximum(size, 1e-9)).mean())
