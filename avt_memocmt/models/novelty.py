"""How unlike the recordings that were trained on a clip is."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Novelty(nn.Module):
    """Distance to the nearest place where training clips were.

    Nearest neighbours in what a network reads tell what it was not trained on (Sun et al. 2022,
    section 3). Here the space has two parts: principal components of a clip's statistics, each
    scaled to a deviation of 1, where all that is odd lies far away; and the directions that tell
    the training corpora apart, scaled to a deviation of 1 within a corpus (linear discriminant
    analysis), where a new corpus does.

    Args:
        width: numbers in the statistics of a clip, see `LayerStatistics`.

    Attributes:
        directions: float [width, DIRECTIONS], from statistics to that space; zeros where fewer are
            needed.
        places: float [PLACES, DIRECTIONS]. Both are saved with the weights.
    """

    DIRECTIONS = 72
    PLACES = 256

    directions: Tensor
    places: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("directions", torch.zeros(width, self.DIRECTIONS))
        self.register_buffer("places", torch.zeros(self.PLACES, self.DIRECTIONS))

    def set_known(self, directions: Tensor, places: Tensor) -> None:
        """Say what is known; shapes as of the attributes."""
        self.directions.copy_(directions)
        self.places.copy_(places)

    def forward(self, standard: Tensor) -> Tensor:
        """Standardised statistics [batch, width] -> distance [batch]."""
        gaps = (standard @ self.directions)[:, None] - self.places
        return gaps.square().sum(dim=2).amin(dim=1).sqrt()
