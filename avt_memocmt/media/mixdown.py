"""The channels of decoded sound, mixed to one."""

from __future__ import annotations

import math

import numpy as np
from av.audio.layout import AudioLayout
from numpy.typing import NDArray

from avt_memocmt.media.types import SAMPLE_RATE

_CANCELLED = 0.1
"""Share of the energy expected of the mix below which the channels are held to cancel out."""
_MOST = 16.0
"""Magnitude to which damaged samples are held before they are weighed."""
_MEMORY = 0.5
"""Seconds over which energies are remembered, so that quiet moments decide nothing."""

# ITU-R BS.775 to stereo (centre and surrounds at -3 dB, no low-frequency channel), then the mean.
_SIDE, _CENTRE, _SURROUND = 0.5, 0.5**0.5, 0.5**1.5
_GAINS = dict.fromkeys(("FL", "FR", "FLC", "FRC"), _SIDE) | {"FC": _CENTRE}
_GAINS |= dict.fromkeys(("BL", "BR", "SL", "SR", "BC"), _SURROUND)
_UNNAMED = {6: "5.1", 8: "7.1"}
"""What the channels of a plain WAV file are taken for, by their number."""


class Mixdown:
    """Mixes sound of one layout to mono.

    Stereo becomes the mean of both sides. Layouts with a left and a right become the stereo mix of
    ITU-R BS.775, which keeps the centre, where film and television have their dialogue; then that
    mean. The mean of all is taken of other channels. Where the channels cancel out, as when one
    side of a cable is wired the wrong way round, stereo becomes half the difference of its sides,
    and other layouts their loudest channel.

    Args:
        layout: of the decoded sound.
        scale: full scale of its samples.
    """

    def __init__(self, layout: AudioLayout, scale: float = 1.0) -> None:
        gains = _channel_gains(layout)
        others = np.eye(len(gains))
        # Energy that each of the others adds to that of the mix where they have nothing in common.
        self._shares = gains**2
        if len(gains) == 1:
            others, self._shares = others[:0], self._shares[:0]
        elif len(gains) == 2:
            others, self._shares = np.array([[0.5, -0.5]]), np.array([0.5])
        self._rows = np.vstack([gains, others]) / scale
        self._energies = np.zeros(len(self._rows))

    @property
    def filter_options(self) -> str:
        """Options of FFmpeg's filter `pan`: the mix, then what may replace it."""
        rows = (
            "+".join(f"{gain:.9g}*c{channel}" for channel, gain in enumerate(row) if gain)
            for row in self._rows
        )
        return "|".join(
            [f"{len(self._rows)}C", *(f"c{index}={row}" for index, row in enumerate(rows))]
        )

    def choose(self, filtered: NDArray[np.float32]) -> NDArray[np.float32]:
        """The mix, or what replaces it where it cancels out: float32 [n] in [-1, 1].

        Args:
            filtered: what the filter gave at `SAMPLE_RATE`, float32, its channels interleaved.
        """
        flat = filtered.reshape(-1)
        # A damaged float stream holds NaN and huge values.
        if not math.isfinite(float(flat @ flat)):
            flat = np.clip(np.nan_to_num(flat), -_MOST, _MOST)
        sound = flat.reshape(-1, len(self._rows))
        return np.clip(sound[:, self._chosen(sound)], -1.0, 1.0)

    def _chosen(self, sound: NDArray[np.float32]) -> int:
        if len(self._rows) == 1:
            return 0
        kept = math.exp(-len(sound) / SAMPLE_RATE / _MEMORY)
        self._energies = kept * self._energies + np.einsum("ij,ij->j", sound, sound)
        if self._energies[0] >= _CANCELLED * float(self._shares @ self._energies[1:]):
            return 0
        return 1 + int(np.argmax(self._energies[1:] * (self._shares > 0)))


def _channel_gains(layout: AudioLayout) -> NDArray[np.float64]:
    """What each channel counts in the mix to mono, [channels]."""
    names = [channel.name for channel in layout.channels]
    if "FL" not in names and len(names) in _UNNAMED:
        names = [channel.name for channel in AudioLayout(_UNNAMED[len(names)]).channels]
    if {"FL", "FR"} <= set(names):
        return np.array([_GAINS.get(name, 0.0) for name in names])
    return np.full(len(names), 1 / len(names))
