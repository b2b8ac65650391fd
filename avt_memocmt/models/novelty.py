"""How unlike the recordings that were trained on a clip is."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Novelty(nn.Module):
    """Distance to the nearest corpus that was trained on.

    The distance is Mahalanobis' to the mean of each corpus, with the deviations that clips of one
    corpus have in common (Lee et al. 2018, section 2.1, with corpora for classes), in the
    directions that tell the corpora apart (linear discriminant analysis).

    Args:
        width: numbers in the statistics of a clip, see `LayerStatistics`.

    Attributes:
        directions: float [width, PLACES - 1], in which clips of one corpus have a deviation of 1;
            zeros where fewer tell the corpora apart.
        places: float [PLACES, PLACES - 1], the mean of each corpus in these directions, repeated
            where there are fewer. Both are saved with the weights.
    """

    PLACES = 8

    directions: Tensor
    places: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("directions", torch.zeros(width, self.PLACES - 1))
        self.register_buffer("places", torch.zeros(self.PLACES, self.PLACES - 1))

    def set_known(self, directions: Tensor, places: Tensor) -> None:
        """Say where the corpora are; shapes as of the attributes."""
        self.directions.copy_(directions)
        self.places.copy_(places)

    def forward(self, standard: Tensor) -> Tensor:
        """Standardised statistics [batch, width] -> distance [batch]."""
        # As a product of matrices, some engines would compute this in 8 or 16 bits.
        found = (standard[:, :, None] * self.directions).sum(dim=1)
        gaps = found[:, None] - self.places
        return gaps.square().sum(dim=2).amin(dim=1).sqrt()
