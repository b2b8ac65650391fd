"""Damage of known strength to sound and pictures, to measure what a model still recognises.

Strengths have units: a signal-to-noise ratio in dB, pixels of blur, photographic stops of darkness,
the hidden share of a picture. All randomness comes from the generator that is given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from avt_memocmt.preprocessing.audio_preprocess import trim_silence

Samples = NDArray[np.float32]
Picture = NDArray[np.uint8]

DISPLAY_GAMMA = 2.2
"""A pixel's value is about its light to the power of 1 / 2.2 (close to sRGB, IEC 61966-2-1)."""


def white_noise(length: int, generator: np.random.Generator) -> Samples:
    """float32 [length], Gaussian, the same power at every frequency, RMS about 1."""
    return generator.standard_normal(length, dtype=np.float32)


def babble_noise(
    voices: Sequence[Samples], length: int, talkers: int, generator: np.random.Generator
) -> Samples:
    """Mix clips of people who speak, all equally loud, each from a random moment on.

    Args:
        voices: float32 [n] clips to draw from, at least `talkers` that are not silent throughout.
        length: samples of the result; a clip that ends starts again.
        talkers: number of different clips that are mixed.
        generator: source of randomness.

    Returns:
        float32 [length], RMS about 1.

    Raises:
        ValueError: there are too few voices.
    """
    audible = [voice for voice in voices if voice.any()]
    if len(audible) < talkers:
        raise ValueError(f"{talkers} talkers need as many voices, got {len(audible)}")
    mixed = np.zeros(length, dtype=np.float64)
    for index in generator.choice(len(audible), talkers, replace=False):
        voice, _ = trim_silence(audible[index])
        first = int(generator.integers(len(voice)))
        positions = (first + np.arange(length)) % len(voice)
        mixed += voice[positions] / math.sqrt(mean_power(voice))
    return (mixed / math.sqrt(talkers)).astype(np.float32)


def add_at_snr(samples: Samples, noise: Samples, snr_db: float) -> Samples:
    """Put noise under speech at a signal-to-noise ratio.

    The ratio is that of the mean powers, where the speech's counts between its first and last
    sound: silence around a sentence must not make the noise quieter.

    Args:
        samples: float32 [n] in [-1, 1], not silent throughout.
        noise: float32 [n], of any level.
        snr_db: dB.

    Returns:
        float32 [n] in [-1, 1]; a mixture that would leave this range is made quieter as a whole.

    Raises:
        ValueError: lengths differ, or one of the two is silent.
    """
    if samples.shape != noise.shape:
        raise ValueError(f"speech {samples.shape} and noise {noise.shape} differ in length")
    speech_power, noise_power = mean_power(trim_silence(samples)[0]), mean_power(noise)
    if speech_power == 0 or noise_power == 0:
        raise ValueError("silence has no signal-to-noise ratio")
    gain = math.sqrt(speech_power / noise_power * 10 ** (-snr_db / 10))
    mixed = samples + np.float32(gain) * noise
    return mixed / max(np.float32(1.0), np.abs(mixed).max())


def mean_power(samples: Samples) -> float:
    """Mean square of a waveform."""
    return float(np.mean(samples.astype(np.float64) ** 2))


def blur(picture: Picture, sigma: float) -> Picture:
    """Gaussian blur; beyond the picture its border is mirrored.

    Args:
        picture: uint8 [height, width] or [height, width, 3].
        sigma: standard deviation of the Gaussian, pixels.
    """
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), dtype=np.uint8)


def darken(
    picture: Picture, stops: float, sensor_noise: float, generator: np.random.Generator
) -> Picture:
    """Underexpose a picture: less light on the sensor, whose own noise stays the same.

    Pixel values are turned into light by `DISPLAY_GAMMA`, and back again.

    Args:
        picture: uint8 [height, width] or [height, width, 3].
        stops: each halves the light.
        sensor_noise: standard deviation of Gaussian noise on every value of the sensor, as a share
            of the light of a white pixel.
        generator: source of the noise.
    """
    light = (picture / 255.0) ** DISPLAY_GAMMA * 2.0**-stops
    light += sensor_noise * generator.standard_normal(picture.shape)
    return np.rint(255.0 * light.clip(0.0, 1.0) ** (1 / DISPLAY_GAMMA)).astype(np.uint8)


def occlude(picture: Picture, share: float, generator: np.random.Generator) -> Picture:
    """Hide a random place behind a plain grey rectangle (random erasing, Zhong et al. 2020).

    Its aspect ratio, relative to the picture's, is drawn between 1:2 and 2:1.

    Args:
        picture: uint8 [height, width] or [height, width, 3].
        share: of the area that is hidden, at most 0.5; met to within half a column of pixels.
        generator: source of place, shape and shade.

    Raises:
        ValueError: the share is not within 0 to 0.5.
    """
    if not 0.0 < share <= 0.5:
        raise ValueError(f"a share of {share} cannot be hidden; use more than 0 and at most 0.5")
    rows, columns = picture.shape[:2]
    stretch = math.sqrt(2.0 ** generator.uniform(-1.0, 1.0))
    height = min(rows, max(1, round(rows * math.sqrt(share) * stretch)))
    width = min(columns, max(1, round(share * rows * columns / height)))
    top = int(generator.integers(rows - height + 1))
    left = int(generator.integers(columns - width + 1))
    hidden = picture.copy()
    hidden[top : top + height, left : left + width] = generator.integers(256)
    return hidden
