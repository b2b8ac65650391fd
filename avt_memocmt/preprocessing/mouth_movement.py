"""Sound and mouth shapes on one clock: what the ear hears of a mouth, and how the mouth moves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.matrix_product import product_on_one_thread
from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.preprocessing.mouth_shape import MOUTH_SHAPE

Array = NDArray[np.float64]

CLOCK = 25
"""Steps a second on which sound and mouth are compared: films have 24 to 30 pictures."""

BANDS, _LOWEST, _HIGHEST = 20, 80.0, 7600.0
_HOP, _WINDOW, _FFT = SAMPLE_RATE // 100, SAMPLE_RATE // 40, 512  # 10 ms, 25 ms
_DEPTH = 6.0
"""Decades of power below the loudest point that are told apart: 60 dB."""
_CONTEXT = np.arange(-3, 4) * 0.08
"""Seconds around a step whose sound bears on the mouth: it opens before it is heard."""
_VOICED_DB, _VOICED_REACH = 30.0, 10
"""A step is voiced if the sound is within so many dB of the loudest, so many hops around it."""

SOUND_FEATURES = BANDS * len(_CONTEXT)

_OPENINGS = [MOUTH_SHAPE.index(name) for name in ("inner opening", "outer opening")]
MOVEMENTS = 2 * len(_OPENINGS)
_VISIBLE = MOUTH_SHAPE.index("visible")
_LEAST_VISIBLE = 1.0
"""Of a face that is less visible, such as one in profile, the mouth cannot be read."""
_LONGEST_GAP = 0.1
"""Seconds from a step to a picture, at most, for the mouth to be known there."""
_SMOOTHING, _SLOW = 3, 15
"""Steps of the averages that take the jitter of boxes away, and turns of the head and smiles."""


@dataclass(frozen=True)
class Movement:
    """How a mouth moves, on the clock of a sound.

    Attributes:
        values: [steps, 4], the openings of the mouth without their slow part, in the units of
            `MOUTH_SHAPE`, then their speeds, in units a second.
        known: bool [steps], where the mouth is seen.
    """

    values: Array
    known: NDArray[np.bool_]


def sound_features(samples: NDArray[np.float32]) -> tuple[Array, NDArray[np.bool_]]:
    """A log-mel spectrogram around every step, whatever the gain and colour of the recording.

    Args:
        samples: float32 [n], mono, `SAMPLE_RATE`, at least one.

    Returns:
        [steps, `SOUND_FEATURES`] and whether a step is voiced, bool [steps]; step i lies at
        i / `CLOCK` seconds.
    """
    padded = np.pad(samples, (_WINDOW // 2, _WINDOW // 2 + _HOP))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
    spectrum = np.fft.rfft(frames * np.hanning(_WINDOW + 1)[:-1], _FFT)
    power = product_on_one_thread(np.square(np.abs(spectrum)), _mel_filters())
    floor = max(float(power.max()), 1e-30) * 10**-_DEPTH
    mel = _averaged(np.log10(np.maximum(power, floor)), 5)
    mel -= mel.mean(axis=0)
    loudness = 10 * np.log10(np.maximum(power.sum(axis=1), floor))
    around = np.pad(loudness, _VOICED_REACH, mode="edge")
    loudest = np.lib.stride_tricks.sliding_window_view(around, 2 * _VOICED_REACH + 1).max(axis=1)
    steps = np.arange(max(1, len(samples) * CLOCK // SAMPLE_RATE)) / CLOCK
    at = np.minimum((steps * SAMPLE_RATE / _HOP).astype(int), len(mel) - 1)
    wanted = (steps[:, None] + _CONTEXT) * SAMPLE_RATE / _HOP
    near = np.clip(wanted.round().astype(int), 0, len(mel) - 1)
    return mel[near].reshape(len(steps), -1), loudest[at] > loudness.max() - _VOICED_DB


def movement(
    times: NDArray[np.floating], shapes: NDArray[np.floating], first: int, steps: int
) -> Movement:
    """How a mouth moves in some steps of a sound's clock.

    Args:
        times: float [m], when each picture was seen, in seconds after the sound's start, rising.
        shapes: float [m, 6], what `MouthReader` read of them.
        first: number of the first step; below 0 before the sound.
        steps: how many.
    """
    seen = np.isfinite(shapes).all(axis=1) & (shapes[:, _VISIBLE] >= _LEAST_VISIBLE)
    clock = (first + np.arange(steps)) / CLOCK
    if not seen.any():
        return Movement(np.zeros((steps, MOVEMENTS)), np.zeros(steps, dtype=bool))
    times, openings = np.asarray(times)[seen], shapes[seen][:, _OPENINGS]
    after = np.searchsorted(times, clock).clip(0, len(times) - 1)
    gap = np.minimum(abs(times[after] - clock), abs(times[(after - 1).clip(0)] - clock))
    known = gap <= _LONGEST_GAP
    raw = np.column_stack([np.interp(clock, times, column) for column in openings.T])
    smooth = (raw + _averaged(raw, _SMOOTHING, known)) / 2
    speed = np.gradient(smooth, axis=0) * CLOCK if steps > 1 else np.zeros_like(smooth)
    return Movement(np.hstack([smooth - _averaged(smooth, _SLOW, known), speed]), known)


def _averaged(values: Array, width: int, known: NDArray[np.bool_] | None = None) -> Array:
    """Means [n, columns] over a window (an odd number of rows) of the rows that are known."""
    counted = np.ones(len(values)) if known is None else known.astype(float)
    sums = np.cumsum(np.pad(values * counted[:, None], ((width // 2 + 1, width // 2), (0, 0))), 0)
    counts = np.cumsum(np.pad(counted, (width // 2 + 1, width // 2)))
    total = (counts[width:] - counts[:-width]).round()
    return (sums[width:] - sums[:-width]) / np.maximum(total, 1)[:, None]


@cache
def _mel_filters() -> Array:
    """[257, `BANDS`], triangles that are evenly spaced in mel (O'Shaughnessy 1987)."""
    lowest, highest = (2595 * math.log10(1 + hertz / 700) for hertz in (_LOWEST, _HIGHEST))
    mel = np.linspace(lowest, highest, BANDS + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    hertz = np.fft.rfftfreq(_FFT, 1 / SAMPLE_RATE)[:, None]
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    rise, fall = (hertz - low) / (middle - low), (high - hertz) / (high - middle)
    return np.maximum(np.minimum(rise, fall), 0.0)
