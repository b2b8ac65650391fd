"""How unlike everything that was trained on a clip is."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Novelty(nn.Module):
    """Distance to the nearest place where training clips were.

    Nearest neighbours in the features of a network tell what it was not trained on (Sun et al.
    2022, section 3). Here they are principal components of the statistics of `LayerStatistics`,
    each scaled to a deviation of 1 over the training clips.

    Args:
        width: numbers in the statistics of a clip.

    Attributes:
        directions: float [width, COMPONENTS], from statistics to components.
        places: float [PLACES, COMPONENTS], where training clips were. Both are saved with the
            weights.
    """

    COMPONENTS = 64
    PLACES = 256

    directions: Tensor
    places: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("directions", torch.zeros(width, self.COMPONENTS))
        self.register_buffer("places", torch.zeros(self.PLACES, self.COMPONENTS))

    def set_known(self, directions: Tensor, places: Tensor) -> None:
        """Say what is known; shapes as of the attributes."""
        self.directions.copy_(directions)
        self.places.copy_(places)

    def forward(self, standard: Tensor) -> Tensor:
        """Standardised statistics [batch, width] -> root mean square distance [batch]."""
        gaps = (standard @ self.directions)[:, None] - self.places
        return gaps.square().mean(dim=2).amin(dim=1).sqrt()
