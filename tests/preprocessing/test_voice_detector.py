"""The voice detector: voices at any level and in noise, and no voice in noise, tones and music."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from footage import Spoken
from numpy.typing import NDArray

from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.preprocessing.audio_preprocess import load_audio
from avt_memocmt.preprocessing.voice_detector import FRAME, VoiceDetector

pytest.importorskip("faster_whisper", reason="install the extra 'embedded' to run this test")

Sound = NDArray[np.float64]
TIME = np.arange(8 * SAMPLE_RATE) / SAMPLE_RATE
CHORD = (220.0, 277.2, 329.6, 440.0)


@pytest.fixture(scope="module")
def voices() -> VoiceDetector:
    return VoiceDetector()


def white() -> Sound:
    return np.random.default_rng(0).normal(size=len(TIME))


def wind() -> Sound:
    gusts = np.exp(np.sin(2 * np.pi * 0.4 * TIME))
    return np.convolve(white(), np.ones(60) / 60, "same") * gusts


def hum() -> Sound:
    return sum((np.sin(2 * np.pi * 50 * n * TIME) / n for n in range(1, 20)), np.zeros(len(TIME)))


def chord() -> Sound:
    tones = sum((np.sin(2 * np.pi * pitch * TIME) for pitch in CHORD), np.zeros(len(TIME)))
    return tones * (0.5 + 0.5 * np.sign(np.sin(4 * np.pi * TIME)))


def melody() -> Sound:
    """Plucked notes of 0.4 s."""
    beat = TIME % 0.4
    pitch = np.array([262, 294, 330, 262, 349, 392])[(TIME / 0.4).astype(int) % 6]
    return np.sin(2 * np.pi * pitch * beat) * np.exp(-4 * beat)


def applause() -> Sound:
    """Bursts of noise, 300 a second."""
    claps = np.random.default_rng(1).random(len(TIME)) < 300 / SAMPLE_RATE
    decay = np.exp(-np.arange(800) / 100)
    return np.convolve(claps, decay)[: len(TIME)] * white()


def siren() -> Sound:
    return np.sin(2 * np.pi * (700 * TIME - 60 * np.cos(2 * np.pi * TIME)))


def typing() -> Sound:
    return white() * (TIME % 0.17 < 0.01)


@pytest.mark.parametrize(
    "make", [white, wind, hum, chord, melody, applause, siren, typing], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("level", [0.003, 0.3])
def test_no_voice_in_what_is_none(
    voices: VoiceDetector, make: Callable[[], Sound], level: float
) -> None:
    sound = make()
    assert not voices.has_voice((level * sound / np.abs(sound).max()).astype(np.float32))


def telephone(sound: Sound) -> Sound:
    spectrum = np.fft.rfft(sound)
    pitch = np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE)
    return np.fft.irfft(spectrum * ((pitch > 300) & (pitch < 3400)), len(sound))


def noisy(sound: Sound) -> Sound:
    return sound + np.resize(white(), len(sound)) * sound.std()


@pytest.mark.parametrize(
    "change",
    [lambda x: x, lambda x: 0.01 * x, telephone, noisy, lambda x: np.clip(20 * x, -1, 1)],
    ids=["plain", "40 dB lower", "telephone", "as loud noise", "clipped"],
)
def test_speech_has_a_voice(
    voices: VoiceDetector, sentences: list[Spoken], change: Callable[[Sound], Sound]
) -> None:
    for clip in sentences[:: max(1, len(sentences) // 6)]:
        samples = change(load_audio(clip.path).astype(np.float64))
        assert voices.has_voice(samples.astype(np.float32)), clip.path.name


def test_one_word_in_long_noise_is_heard(voices: VoiceDetector, sentences: list[Spoken]) -> None:
    word = load_audio(sentences[0].path)
    loudest = int(np.abs(word).argmax())
    word = word[max(0, loudest - 8000) : loudest + 8000]
    noise = np.resize(white(), 15 * SAMPLE_RATE) * word.std() / 10
    noise[9 * SAMPLE_RATE :][: len(word)] += word
    assert voices.has_voice(noise.astype(np.float32))


def test_probabilities_do_not_depend_on_the_level(voices: VoiceDetector) -> None:
    sound = melody().astype(np.float32)
    wanted = voices.probabilities(sound)
    assert wanted.shape == (-(-len(sound) // FRAME),)
    np.testing.assert_allclose(voices.probabilities(sound * 0.01), wanted, atol=1e-4)


@pytest.mark.parametrize("samples", [0, 1, FRAME])
def test_hardly_any_sound(voices: VoiceDetector, samples: int) -> None:
    sound = np.zeros(samples, np.float32)
    assert voices.probabilities(sound).shape == (min(samples, 1),)
    assert not voices.has_voice(sound)
