"""Temperature scaling: confidence as high as the share that is right, for what was at hand."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from avt_memocmt.config import MODALITIES, Modality


def grown(novelty: Tensor, growth: float | Tensor) -> Tensor:
    """By what the temperature of a modality that is alone is multiplied."""
    return (1 + novelty) ** growth


class SubsetTemperature(nn.Module):
    """The temperature that divides a turn's logits: one for each set of present modalities.

    Guo et al. (2017), section 4.2, with a temperature of its own for sound alone, sound and face,
    and so on: a network is overconfident in different measure on each. That of a modality which is
    alone can grow with how unlike the training clips it is. Which class is likeliest does not
    change.

    Args:
        temperatures: by the names of the modalities joined with "+", in the order of `MODALITIES`;
            1 for the sets that are left out.
        growth: by modality, the power of 1 + novelty by which its temperature grows when it is
            alone.
    """

    values: Tensor
    growth: Tensor
    bits: Tensor

    def __init__(self, temperatures: Mapping[str, float], growth: Mapping[Modality, float]) -> None:
        super().__init__()
        bits = {m: 1 << place for place, m in enumerate(MODALITIES)}
        values = torch.ones(1 << len(MODALITIES))
        powers = torch.zeros(len(values), len(MODALITIES))
        for name, value in temperatures.items():
            values[sum(bits[m] for m in name.split("+"))] = value
        for name, value in growth.items():
            powers[bits[name], MODALITIES.index(name)] = value
        self.register_buffer("values", values, persistent=False)
        self.register_buffer("growth", powers, persistent=False)
        self.register_buffer("bits", torch.tensor(list(bits.values())), persistent=False)

    def forward(self, present: Tensor, novelty: Tensor) -> Tensor:
        """Temperatures [batch].

        Args:
            present: bool [batch, 3], whether a turn has each modality.
            novelty: of the modalities, [batch, 3].
        """
        subset = (present * self.bits).sum(dim=1)
        return self.values[subset] * grown(novelty, self.growth[subset]).prod(dim=1)


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
