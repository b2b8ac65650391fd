"""Mean of the weights of several trainings."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def mean_of(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of each tensor over networks of the same structure; integers are the first's."""
    return {
        name: torch.stack([state[name] for state in states]).mean(0)
        if value.is_floating_point()
        else value
        for name, value in states[0].items()
    }
