"""The base class of face encoders, and the time spans of their tokens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from avt_memocmt.features.base import Tokens
from avt_memocmt.preprocessing.face_tracker import FaceObservation

BATCH = 32
"""Faces encoded at once."""


class VisualEncoder(nn.Module, ABC):
    """Aligned faces in, one token per face out.

    A token is the mean of the last feature map over its positions, for every encoder: so the map
    carries all that reaches the token, which is what Grad-CAM assumes (Selvaraju et al. 2017).

    Attributes:
        dim: width of a token.
        layers: hidden states concatenated in one token; always 1.
        identity: name, and SHA-256 or revision of the weights.
        side: height and width of the network's input, pixels.
    """

    dim: int
    layers: int = 1
    identity: dict[str, str]
    side: int
    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    @abstractmethod
    def feature_map(self, pixels: Tensor) -> Tensor:
        """The last feature map [n, dim, h, w] of faces that `prepare` returned."""

    def forward(self, pixels: Tensor) -> Tensor:
        """One token [n, dim] per face that `prepare` returned; gradients flow to the pixels."""
        return self.feature_map(pixels).mean(dim=(2, 3))

    def prepare(self, crops: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Resize (bilinear, antialiased) and normalise aligned faces of any size.

        The whole crop is kept: centre-cropping as for photographs would cut chin and forehead.

        Args:
            crops: uint8 RGB [height, width, 3] each.

        Returns:
            float32 [n, 3, side, side].
        """
        if not crops:
            return self.mean.new_zeros((0, 3, self.side, self.side))
        faces = torch.cat([self._resized(crop) for crop in crops]).to(self.mean.device)
        return (faces / 255.0 - self.mean) / self.std

    @torch.no_grad()
    def encode(
        self,
        utterances: Sequence[Sequence[FaceObservation]],
        utterance_starts: Sequence[float],
        seconds_per_frame: float,
    ) -> list[Tokens]:
        """Tokens of the faces of each utterance, all utterances' faces batched together.

        Args:
            utterances: the faces of each utterance, in order of time.
            utterance_starts: start of each utterance, seconds in the media.
            seconds_per_frame: how long one face stands for.

        Returns:
            One `Tokens` per utterance with a row per face; spans count from the utterance's start.
        """
        self.eval()
        values = self.vectors([face for faces in utterances for face in faces])
        tokens, first = [], 0
        for faces, start in zip(utterances, utterance_starts, strict=True):
            rows = values[first : first + len(faces)]
            tokens.append(Tokens(rows, face_spans(faces, start, seconds_per_frame)))
            first += len(faces)
        return tokens

    def vectors(self, faces: Sequence[FaceObservation]) -> NDArray[np.float32]:
        """One token [n, dim] per face."""
        crops = [face.crop for face in faces]
        batches = [self(self.prepare(crops[i : i + BATCH])) for i in range(0, len(crops), BATCH)]
        found = torch.cat([self.mean.new_zeros((0, self.dim)), *batches])
        return found.float().cpu().numpy()

    def _resized(self, crop: NDArray[np.uint8]) -> Tensor:
        pixels = torch.from_numpy(np.ascontiguousarray(crop)).permute(2, 0, 1)[None].float()
        return F.interpolate(
            pixels, (self.side, self.side), mode="bilinear", antialias=True, align_corners=False
        )


def face_spans(
    faces: Sequence[FaceObservation], start: float, seconds_per_frame: float
) -> NDArray[np.float32]:
    """Seconds [faces, 2] that each face stands for, from the utterance's start."""
    times = np.array([face.time - start for face in faces], dtype=np.float32)
    return np.stack([times, times + np.float32(seconds_per_frame)], axis=1)
