"""Temperature scaling: confidence as high as the share that is right, for what was at hand."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from avt_memocmt.models.cross_modal_transformer import MODALITIES


class SubsetTemperature(nn.Module):
    """Divides logits by one temperature for each set of present modalities.

    Guo et al. (2017), section 4.2, with a temperature of its own for sound alone, sound and face,
    and so on: a network is overconfident in different measure on each. Which class is likeliest
    does not change.

    Args:
        temperatures: by the names of the modalities joined with "+", in the order of `MODALITIES`;
            1 for the sets that are left out.
    """

    values: Tensor
    bits: Tensor

    def __init__(self, temperatures: Mapping[str, float]) -> None:
        super().__init__()
        bits = {m: 1 << place for place, m in enumerate(MODALITIES)}
        values = torch.ones(1 << len(MODALITIES))
        for name, value in temperatures.items():
            values[sum(bits[m] for m in name.split("+"))] = value
        self.register_buffer("values", values, persistent=False)
        self.register_buffer("bits", torch.tensor(list(bits.values())), persistent=False)

    def forward(self, logits: Tensor, weights: Tensor) -> Tensor:
        """Logits [..., 7] and the modalities' shares [..., 3], 0 where absent -> [..., 7]."""
        subset = ((weights > 0) * self.bits).sum(dim=-1)
        return logits / self.values[subset].unsqueeze(-1)
