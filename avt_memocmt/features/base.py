"""What every encoder returns for an utterance, and the mask of a padded batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Tokens:
    """The tokens of one modality of one utterance.

    Attributes:
        values: float32 [tokens, layers * dim]; hidden states of several layers are concatenated,
            lowest layer first.
        spans: float32 [tokens, 2], start and end of each token in seconds from the start of the
            utterance.
        warnings: names of what a user should know of how the utterance was read.
    """

    values: NDArray[np.float32]
    spans: NDArray[np.float32]
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.spans.shape != (len(self.values), 2):
            raise ValueError(
                f"tokens [n, dim] and spans [n, 2] must agree, got {self.values.shape} and "
                f"{self.spans.shape}"
            )

    def __len__(self) -> int:
        return len(self.values)


def length_mask(lengths: Tensor, count: int) -> Tensor:
    """Bool [batch, count], True at the first places of each row, as many as its length says."""
    return torch.arange(count, device=lengths.device) < lengths[:, None]
