"""Temperature scaling: confidence as high as the share of right decisions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from avt_memocmt.config import MODALITIES


def temperature_scale(novelty: Tensor, exponent: float | Tensor) -> Tensor:
    """Factor on the temperature of a modality: (1 + novelty) ** exponent."""
    return (1 + novelty) ** exponent


class Temperatures(nn.Module):
    """Divisors of the logits (Guo et al. 2017, section 4.2), one for each set of modalities.

    A network is overconfident in different measure on sound alone, on sound and face, and so on.
    Which class is likeliest does not change.

    Attributes:
        decision: float [8], of the decision on a turn, by the set of its modalities.
        unimodal: float [3], of each modality's own logits, in the order of `MODALITIES`.
        exponent: float [3], of the scale by each modality's novelty; 0 = not scaled.

    All are saved with the weights, and are 1, 1 and 0 before they are fitted.
    """

    decision: Tensor
    unimodal: Tensor
    exponent: Tensor
    bits: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("decision", torch.ones(1 << len(MODALITIES)))
        self.register_buffer("unimodal", torch.ones(len(MODALITIES)))
        self.register_buffer("exponent", torch.zeros(len(MODALITIES)))
        bits = torch.tensor([1 << place for place in range(len(MODALITIES))])
        self.register_buffer("bits", bits, persistent=False)

    def set_unimodal(self, modality: str, temperature: float, exponent: float = 0.0) -> None:
        """Set what was fitted to the logits of one modality."""
        place = MODALITIES.index(modality)
        self.unimodal[place], self.exponent[place] = temperature, exponent

    def set_decision(self, modalities: Sequence[str], temperature: float) -> None:
        """Set what was fitted to the decisions on turns with these modalities."""
        places = [MODALITIES.index(m) for m in modalities]
        self.decision[self.bits[places].sum()] = temperature

    def forward(self, present: Tensor) -> Tensor:
        """Temperature [batch] of the decision on each turn.

        Args:
            present: bool [batch, 3], whether a turn has each modality.
        """
        return self.decision[(present * self.bits).sum(dim=1)]

    def of_modality(self, modality: str, novelty: Tensor) -> Tensor:
        """Temperature [batch] of a modality's own logits, by its novelty [batch].

        It grows with how unlike the training clips the turn is (see `Novelty`).
        """
        place = MODALITIES.index(modality)
        return self.unimodal[place] * temperature_scale(novelty, self.exponent[place])


class Novelty(nn.Module):
    """Out-of-distribution score: distance to the nearest centroid of training clips.

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
        centroids: float [CENTROIDS, DIRECTIONS], of training clips in that space.

    Both are saved with the weights, and are zeros before they are fitted.
    """

    DIRECTIONS = 72
    CENTROIDS = 256

    directions: Tensor
    centroids: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("directions", torch.zeros(width, self.DIRECTIONS))
        self.register_buffer("centroids", torch.zeros(self.CENTROIDS, self.DIRECTIONS))

    def set_fitted(self, directions: Tensor, centroids: Tensor) -> None:
        """Set what was fitted; shapes as of the attributes."""
        self.directions.copy_(directions)
        self.centroids.copy_(centroids)

    def forward(self, standard: Tensor) -> Tensor:
        """Standardised statistics [batch, width] -> distance [batch], without gradients."""
        # The slope of the root at 0 is infinite, and a temperature is nothing to learn from.
        gaps = (standard.detach() @ self.directions)[:, None] - self.centroids
        return gaps.square().sum(dim=2).amin(dim=1).sqrt()
