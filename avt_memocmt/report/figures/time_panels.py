"""Sound and words of an utterance over its time, with what speaks for a class in each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, to_hex
from matplotlib.image import AxesImage
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from transformers.audio_utils import hertz_to_mel

from avt_memocmt.explainability.evidence import SOUND_STEP
from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.report.figures.common import POINTS_PER_INCH, SIGNED, SMALL
from avt_memocmt.wording import signed

WINDOW, HOP = 400, 160
"""Samples of one spectrum and between two: 25 and 10 ms, usual for speech."""
ROWS = 80
FLOOR_DB = -60.0
"""Loudness relative to the loudest point, at and below which the spectrogram is white."""

LANE = 0.34
"""Inches between two rows of words."""

_CHARACTER = 0.64  # mean width, as a share of the font size
_MOST_LANES = 8
_STRIP = 0.5  # height of the strip of word times, in lanes
_TICKS = (250, 500, 1000, 2000, 4000)  # Hz
_DARKEST = 0.8  # opacity of the strongest score over the spectrogram

Array = NDArray[np.float64]


def draw_sound(panel: Axes, samples: NDArray[np.float32], scores: Array) -> AxesImage:
    """Draw a spectrogram in grey, and over it the scores of its stretches and bands in colour.

    The stronger a score, the less of the grey shows through.

    Args:
        panel: whose x axis is seconds in the utterance.
        samples: float32 mono 16 kHz.
        scores: [bands, steps of `SOUND_STEP`], low bands first; one band where the sound was not
            divided.

    Returns:
        The picture of the scores, for a colour bar.
    """
    upwards: dict[str, Any] = {"aspect": "auto", "origin": "lower"}
    extent = (0, len(samples) / SAMPLE_RATE, 0, 1)
    panel.imshow(spectrogram(samples), "Greys", vmin=FLOOR_DB, vmax=0, extent=extent, **upwards)
    peak = float(np.abs(scores).max(initial=0.0)) or 1.0
    image = panel.imshow(
        scores,
        SIGNED,
        vmin=-peak,
        vmax=peak,
        alpha=_DARKEST * np.abs(scores) / peak,
        extent=(0, scores.shape[1] * SOUND_STEP, 0, 1),
        interpolation="nearest",
        **upwards,
    )
    heights = mel(np.array(_TICKS)) / mel(SAMPLE_RATE / 2)
    panel.set_yticks(heights, [f"{hertz / 1000:g}" for hertz in _TICKS])
    panel.set_ylabel("kHz")
    return image


def draw_sound_scores(panel: Axes, scores: Array) -> None:
    """Draw the scores [bands, steps], summed over the bands, as bars: up speaks for the class."""
    sums = scores.sum(axis=0)
    edges = np.arange(len(sums)) * SOUND_STEP
    colours = np.where(sums >= 0, "#B35806", "#542788")  # the ends of `SIGNED`
    panel.bar(edges, sums, SOUND_STEP * 0.9, align="edge", color=colours.tolist())
    panel.axhline(0, color="black", linewidth=0.6)
    panel.set_ylabel(f"per {SOUND_STEP:g} s")


def spectrogram(samples: NDArray[np.float32]) -> Array:
    """Loudness [`ROWS`, frames] in dB below the loudest point, rows evenly spaced in mel."""
    padded = np.pad(samples, WINDOW // 2)
    frames = sliding_window_view(padded, WINDOW)[::HOP] * np.hanning(WINDOW)
    power = np.abs(np.fft.rfft(frames)) ** 2
    hertz = np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE)
    wanted = (np.arange(ROWS) + 0.5) / ROWS * mel(SAMPLE_RATE / 2)
    rows = np.stack([np.interp(wanted, mel(hertz), frame) for frame in power], axis=1)
    decibels = 10 * np.log10(np.maximum(rows / max(rows.max(), 1e-20), 10 ** (FLOOR_DB / 10)))
    return np.asarray(decibels, dtype=np.float64)


def mel(hertz: float | NDArray[np.floating]) -> Array:
    """The mel scale of Slaney's Auditory Toolbox (1998), which Whisper's filters follow."""
    return np.asarray(hertz_to_mel(hertz, mel_scale="slaney"))


def word_colours(scores: Array) -> list[tuple[str, str]]:
    """Background and ink of each word, "#rrggbb"; the strongest score has the fullest colour."""
    peak = float(np.abs(scores).max(initial=0.0)) or 1.0
    shades = colormaps[SIGNED](Normalize(-peak, peak)(scores))
    # Light of the sRGB primaries (ITU-R BT.709).
    light = shades[:, :3] @ (0.2126, 0.7152, 0.0722)
    inks = np.where(light < 0.45, "#ffffff", "#000000")
    return [(to_hex(shade), ink) for shade, ink in zip(shades, inks.tolist(), strict=True)]


def word_lanes(words: Sequence[str], spans: Array, seconds_per_inch: float) -> list[int]:
    """Choose a row for each word so that labels centred on their times do not overlap.

    Args:
        words: in order of time.
        spans: seconds [words, 2].
        seconds_per_inch: of the panel.

    Returns:
        The lowest free row of each word, from 0; once all `_MOST_LANES` are taken, the row that
        becomes free first.
    """
    ends: list[float] = []
    lanes = []
    for word, middle in zip(words, spans.mean(axis=1), strict=True):
        characters = max(len(word), len("+0.000")) * _CHARACTER + 0.8
        half = characters * SMALL / POINTS_PER_INCH * seconds_per_inch / 2
        lane = next((i for i, end in enumerate(ends) if end <= middle - half), len(ends))
        if lane == _MOST_LANES:
            lane = int(np.argmin(ends))
        if lane == len(ends):
            ends.append(0.0)
        ends[lane] = middle + half
        lanes.append(lane)
    return lanes


def draw_words(
    panel: Axes, words: Sequence[str], spans: Array, scores: Array, lanes: Sequence[int]
) -> None:
    """Draw each word as a box with its signed score, joined to the stretch in which it is said.

    Args:
        panel: whose x axis is seconds in the utterance.
        words: in order of time.
        spans: seconds [words, 2].
        scores: [words].
        lanes: from `word_lanes`.
    """
    panel.set_ylim(-max(lanes, default=0) - 1.0, _STRIP)
    panel.set_yticks([])
    marks = zip(words, spans, scores, lanes, word_colours(scores), strict=True)
    for word, (start, end), score, lane, (shade, ink) in marks:
        panel.barh(
            _STRIP / 2, end - start, _STRIP, start, color=shade, edgecolor="black", linewidth=0.4
        )
        middle, height = (start + end) / 2, -lane - 0.55
        panel.vlines(middle, height, 0, color="black", linewidth=0.5, zorder=1)
        panel.text(
            middle,
            height,
            f"{word}\n{signed(score)}",
            ha="center",
            va="center",
            color=ink,
            bbox={"boxstyle": "round,pad=0.2", "facecolor": shade, "linewidth": 0.4},
        )
