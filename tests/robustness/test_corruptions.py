"""Damage to sound and pictures has the strength that was asked for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from media_factory import speech_like, tone

from avt_memocmt.robustness.corruptions import (
    DISPLAY_GAMMA,
    add_at_snr,
    babble_noise,
    blur,
    darken,
    mean_power,
    occlude,
    white_noise,
)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("snr", [20.0, 10.0, 0.0, -5.0])
def test_the_signal_to_noise_ratio_is_measured_back(snr: float) -> None:
    clean = tone(2.0, level=0.1)
    mixed = add_at_snr(clean, white_noise(len(clean), generator()), snr)
    measured = 10 * math.log10(mean_power(clean) / mean_power(mixed - clean))
    assert measured == pytest.approx(snr, abs=0.01)


def test_silence_around_a_sentence_does_not_change_the_noise() -> None:
    sentence = tone(1.0, level=0.1)
    padded = np.pad(sentence, (8000, 24000))
    noise = white_noise(len(padded), generator())
    added = add_at_snr(padded, noise, 10.0) - padded
    assert mean_power(added) == pytest.approx(mean_power(sentence) / 10, rel=0.02)


def test_a_loud_mixture_is_made_quieter_as_a_whole() -> None:
    clean = tone(1.0, level=0.9)
    noise = white_noise(len(clean), generator())
    mixed = add_at_snr(clean, noise, 0.0)
    assert np.abs(mixed).max() == pytest.approx(1.0)
    # Still speech and noise in equal parts: the least-squares share of each has the same power.
    share, noise_share = np.linalg.lstsq(np.stack([clean, noise], axis=1), mixed, rcond=None)[0]
    assert mean_power(share * clean) == pytest.approx(mean_power(noise_share * noise), rel=0.01)


@pytest.mark.parametrize(
    ("clean", "noise"),
    [(tone(0.1), tone(0.2)), (np.zeros(1600, np.float32), tone(0.1)), (tone(0.1), 0 * tone(0.1))],
)
def test_what_has_no_ratio_is_refused(clean: np.ndarray, noise: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"length|silence"):
        add_at_snr(clean, noise, 10.0)


def test_white_noise_has_the_same_power_at_every_frequency() -> None:
    power = np.abs(np.fft.rfft(white_noise(160_000, generator()))) ** 2
    bands = power[1:80_001].reshape(8, -1).mean(axis=1) / 160_000
    assert bands == pytest.approx(np.ones(8), rel=0.05)


def test_every_talker_of_babble_is_equally_loud() -> None:
    # Tones an octave apart, whose power can be told apart in the mixture.
    voices = [tone(0.5, 250 * 2**n, level=0.02 * 4**n) for n in range(3)]
    babble = babble_noise(voices, 16_000, 3, generator())
    spectrum = np.abs(np.fft.rfft(babble * np.hanning(len(babble)))) ** 2
    power = [spectrum[hertz - 20 : hertz + 21].sum() for hertz in (250, 500, 1000)]
    assert power == pytest.approx([power[0]] * 3, rel=0.1)
    assert mean_power(babble) == pytest.approx(1.0, rel=0.05)


def test_babble_draws_other_clips_and_skips_silent_ones() -> None:
    voices = [speech_like(0.7), np.zeros(16_000, np.float32), tone(0.3)]
    first, again = (babble_noise(voices, 20_000, 2, generator(3)) for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, babble_noise(voices, 20_000, 2, generator(4)))
    with pytest.raises(ValueError, match="3 talkers"):
        babble_noise(voices, 20_000, 3, generator())


def test_blur_spreads_a_point_by_its_sigma() -> None:
    point = np.zeros((49, 49), np.uint8)
    point[21:28, 21:28] = 255
    spread = blur(point, 3.0).astype(float)
    rows = np.arange(49) - 24.0
    weights = spread.sum(axis=1) / spread.sum()
    square = (7**2 - 1) / 12  # variance of the seven rows themselves
    assert (weights * rows).sum() == pytest.approx(0.0, abs=0.01)
    assert (weights * rows**2).sum() - square == pytest.approx(9.0, rel=0.05)


def test_blur_leaves_a_plane_alone() -> None:
    plane = np.full((20, 30, 3), 77, np.uint8)
    assert np.array_equal(blur(plane, 2.0), plane)


@pytest.mark.parametrize("stops", [1.0, 2.0, 4.0])
def test_each_stop_halves_the_light(stops: float) -> None:
    grey = np.full((48, 48), 200, np.uint8)
    dark = darken(grey, stops, 0.0, generator())
    assert dark.mean() == pytest.approx(200 * 2 ** (-stops / DISPLAY_GAMMA), abs=0.5)


def test_sensor_noise_does_not_get_darker() -> None:
    grey = np.full((200, 200), 255, np.uint8)
    for stops in (1.0, 3.0):
        light = (darken(grey, stops, 0.01, generator()) / 255.0) ** DISPLAY_GAMMA
        assert light.mean() == pytest.approx(2**-stops, rel=0.01)
        assert light.std() == pytest.approx(0.01, rel=0.1)


@pytest.mark.parametrize("shape", [(48, 48), (100, 60, 3)])
@pytest.mark.parametrize("share", [0.15, 0.3, 0.5])
def test_the_occluded_share_is_measured_back(shape: tuple[int, ...], share: float) -> None:
    # Two shades, so that a rectangle of any one shade differs from one of them everywhere.
    pictures = [np.full(shape, shade, np.uint8) for shade in (0, 255)]
    for seed in range(30):
        hidden = [occlude(picture, share, generator(seed)) for picture in pictures]
        same = (hidden[0] == hidden[1]).reshape(*shape[:2], -1).all(axis=2)
        assert same.mean() == pytest.approx(share, abs=0.5 / shape[1])
        rows, columns = (np.flatnonzero(same.any(axis=axis)) for axis in (1, 0))
        assert np.ptp(rows) + 1 == len(rows)
        assert len(rows) * len(columns) == same.sum()
        assert np.ptp(hidden[0][same]) == 0


def test_places_and_shapes_of_occlusion_vary() -> None:
    white = np.full((48, 48), 255, np.uint8)
    seen = {occlude(white, 0.2, generator(seed)).tobytes() for seed in range(20)}
    assert len(seen) == 20


@pytest.mark.parametrize("share", [0.0, 0.51])
def test_a_share_that_cannot_be_hidden_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="cannot be hidden"):
        occlude(np.zeros((48, 48), np.uint8), share, generator())
