"""Augmentation of speech that keeps its emotion: silence, level, speed, timbre, room, noise,
and people who speak in the background.

The model learns to ignore recording conditions, by which it could otherwise tell the corpus.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.preprocessing.audio_preprocess import trim_silence
from avt_memocmt.robustness.corruptions import add_at_snr, babble_noise

Samples = NDArray[np.float32]

TRIMMED = 0.5
"""Share of the variants that lose the silence at their ends: clips of some corpora have a second of
it, and utterances that voice activity cut out of a film have little."""
TRIM_THRESHOLD_DB = 35.0


def augment_speech(
    samples: Samples,
    voices: Sequence[Samples],
    place: np.random.Generator,
    generator: np.random.Generator,
) -> Samples:
    """One random variant of a waveform.

    Args:
        samples: float32 mono 16 kHz in [-1, 1], not silent throughout.
        voices: clips of other people, of whom some speak in the background.
        place: source of randomness for microphone, room and background. Clips of one person for
            which it starts alike are recorded in one place, as the turns of a conversation are.
        generator: source of all other randomness.

    Returns:
        A waveform of a slightly different length, in [-1, 1].
    """
    out = samples
    if generator.random() < TRIMMED:
        out, _ = trim_silence(out, TRIM_THRESHOLD_DB)
    if generator.random() < 0.6:
        out = resample(out, generator.uniform(0.85, 1.2))
    if place.random() < 0.4:
        out = equalise(out, place)
    if place.random() < 0.4:
        out = reverberate(out, place.uniform(0.1, 0.6), place)
    if place.random() < 0.4:
        out = band_limit(out, place.uniform(60, 300), place.uniform(2500, 7500))
    before, after = (int(generator.uniform(0, 0.5) * SAMPLE_RATE) for _ in range(2))
    out = np.pad(out, (before, after))
    background = place.random()
    if background < 0.35:
        out = add_noise(out, place.uniform(5, 35), generator)
    elif background < 0.75:
        snr, talkers = place.uniform(8, 35), int(place.integers(2, 8))
        out = add_at_snr(out, babble_noise(voices, len(out), talkers, generator), snr)
    peak = float(np.abs(out).max()) or 1.0
    level: Samples = out * (10 ** (generator.uniform(-24, 0) / 20) / peak)
    return level.astype(np.float32)


def resample(samples: Samples, factor: float) -> Samples:
    """Play `factor` times faster: speed and pitch change together (Ko et al. 2015)."""
    positions = np.arange(0, len(samples) - 1, factor)
    return np.interp(positions, np.arange(len(samples)), samples).astype(np.float32)


def reverberate(samples: Samples, decay: float, generator: np.random.Generator) -> Samples:
    """Convolve with exponentially decaying noise (a diffuse room), `decay` = RT60 in seconds."""
    length = int(decay * SAMPLE_RATE)
    envelope = 10 ** (-3 * np.arange(length) / length)
    response = generator.normal(size=length) * envelope * 0.05
    response[0] = 1.0
    wet: Samples = fftconvolve(samples, response)[: len(samples)].astype(np.float32)
    return wet


def equalise(samples: Samples, generator: np.random.Generator) -> Samples:
    """Random gains, 6 dB of deviation, at seven frequencies up to 8 kHz, and between them."""
    spectrum = np.fft.rfft(samples)
    hertz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    decibels = np.interp(hertz, np.linspace(0, SAMPLE_RATE / 2, 7), generator.normal(0, 6, 7))
    return np.fft.irfft(spectrum * 10 ** (decibels / 20), len(samples)).astype(np.float32)


def band_limit(samples: Samples, low: float, high: float) -> Samples:
    """Keep `low` to `high` Hz with soft edges, as telephones and laptop microphones do."""
    spectrum = np.fft.rfft(samples)
    hertz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    gain = 1 / (1 + (low / np.maximum(hertz, 1)) ** 4) / (1 + (hertz / high) ** 8)
    return np.fft.irfft(spectrum * gain, len(samples)).astype(np.float32)


def add_noise(samples: Samples, snr_db: float, generator: np.random.Generator) -> Samples:
    """Add noise between white and brown at a signal-to-noise ratio in dB."""
    spectrum = np.fft.rfft(generator.normal(size=len(samples)))
    tilt = generator.uniform(0, 1)
    noise = np.fft.irfft(spectrum / np.arange(1, len(spectrum) + 1) ** tilt, len(samples))
    wanted = np.sqrt(np.mean(samples**2)) * 10 ** (-snr_db / 20)
    scaled = noise * (wanted / max(float(np.sqrt(np.mean(noise**2))), 1e-9))
    return (samples + scaled).astype(np.float32)
