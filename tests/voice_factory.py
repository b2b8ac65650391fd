"""Voices made from known directions, for tests of the clustering."""

from __future__ import annotations

import numpy as np

from avt_memocmt.speakers.voices import Voice


def directions(count: int, seed: int = 0) -> np.ndarray:
    """That many voices at right angles, [count, 192]."""
    random = np.random.default_rng(seed)
    return np.linalg.qr(random.normal(size=(192, count)))[0].T


def voices(
    speakers: list[int], seconds: float = 2.0, noise: float = 0.03, seed: int = 0
) -> list[Voice]:
    """One voice after the other, each in a window of its own, near its speaker's direction."""
    random = np.random.default_rng(seed)
    means = directions(max(speakers) + 1, seed)
    return [
        Voice(
            window=2 * at,
            local=0,
            spans=[(10.0 * at, 10.0 * at + seconds)],
            embedding=(means[who] + noise * random.normal(size=192)).astype(np.float32),
            seconds=seconds,
        )
        for at, who in enumerate(speakers)
    ]
