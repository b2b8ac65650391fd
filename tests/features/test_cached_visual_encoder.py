"""Faces of a stream are encoded once, and the tokens are those of the encoder itself."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from avt_memocmt.features.encoder_cache import CachedVisualEncoder
from avt_memocmt.features.visual_encoder import VisualEncoder
from avt_memocmt.preprocessing.face_tracker import FaceObservation


class MeanColour(VisualEncoder):
    """A token is the mean colour of its face."""

    def __init__(self) -> None:
        super().__init__((0.0,) * 3, (1.0,) * 3)
        self.dim, self.side, self.identity = 3, 8, {}
        self.seen: list[int] = []

    def feature_map(self, pixels: Tensor) -> Tensor:
        self.seen.append(len(pixels))
        return pixels


def faces(count: int) -> list[FaceObservation]:
    pictures = np.random.default_rng(0).integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)
    return [FaceObservation(i / 4, None, crop, 1, 0) for i, crop in enumerate(pictures)]


def test_only_new_faces_are_encoded_and_tokens_are_the_same() -> None:
    plain, inner = MeanColour(), MeanColour()
    remembered = CachedVisualEncoder(inner, most=16)
    seen = faces(6)
    for shown in (seen[:2], seen[:4], seen[1:4], seen, []):
        (expected,) = plain.encode([shown], [0.25], 0.25)
        (found,) = remembered.encode([shown], [0.25], 0.25)
        np.testing.assert_allclose(found.values, expected.values, rtol=1e-6)
        np.testing.assert_array_equal(found.spans, expected.spans)
    assert inner.seen == [2, 2, 2]


def test_old_faces_are_forgotten() -> None:
    inner = MeanColour()
    remembered = CachedVisualEncoder(inner, most=2)
    seen = faces(3)
    remembered.encode([seen], [0.0], 0.25)
    remembered.encode([seen[1:]], [0.0], 0.25)
    assert inner.seen == [3]
    remembered.encode([seen[:1]], [0.0], 0.25)
    assert inner.seen == [3, 1]


def test_its_maps_are_the_encoders() -> None:
    inner = MeanColour()
    pixels = torch.rand(2, 3, 8, 8)
    assert torch.equal(CachedVisualEncoder(inner, most=2)(pixels), inner(pixels))
