"""Multi-head attention by a fused kernel, and the recording of its weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avt_memocmt.models.heads import StatisticsPooling


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017, section 3.2.2) from queries to keys.

    Args:
        dim: width of queries, keys and values.
        heads: number of heads; divides `dim`.

    Attention weights are not dropped out while training: fused CPU kernels cannot do so.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)
        self.recorded: Tensor | None = None
        self.recording = False

    def forward(
        self,
        queries: Tensor,
        keys: Tensor,
        allowed: Tensor,
        bias: Tensor | None = None,
    ) -> Tensor:
        """Attend from each query to the allowed keys.

        Args:
            queries: [batch, q, dim].
            keys: [batch, k, dim]; values are read from the same tensor.
            allowed: bool, broadcastable to [batch, heads, q, k]; True = may be attended. Every
                query needs at least one allowed key: engines disagree about rows without any.
            bias: float [heads, q, k] added to the scores, or None.

        Returns:
            [batch, q, dim].
        """
        q, k, v = (
            self._split(layer(x))
            for layer, x in ((self.query, queries), (self.key, keys), (self.value, keys))
        )
        # A mask to add: exported graphs would apply a bool mask score by score.
        added = q.new_zeros(()) if bias is None else bias[None]
        mask = torch.where(allowed, added, float("-inf"))
        if self.recording:
            self.recorded = _weights(q, k, mask)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=False)
        # Heads are joined by `cat`: exporters get the strides of a transposed view wrong.
        out: Tensor = self.out(torch.cat(mixed.unbind(dim=1), dim=-1))
        return out

    def _split(self, x: Tensor) -> Tensor:
        batch, tokens, dim = x.shape
        return x.view(batch, tokens, self.heads, dim // self.heads).transpose(1, 2)


@contextmanager
def record_attention(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Collect the attention and pooling weights of one forward pass.

    The weights are computed beside the pass, which gives the same bits as without recording.
    Recording ends with the block, also after an error.

    Yields:
        A dictionary that is filled at the end of the block: by module name the weights of every
        attention [batch, heads, q, k] and of every pooling [batch, tokens] that ran inside it, of
        its last call.
    """
    weighing = {
        n: m for n, m in model.named_modules() if isinstance(m, Attention | StatisticsPooling)
    }
    maps: dict[str, Tensor] = {}
    for module in weighing.values():
        module.recording = True
    try:
        yield maps
        maps.update({name: m.recorded for name, m in weighing.items() if m.recorded is not None})
    finally:
        for module in weighing.values():
            module.recording = False
            module.recorded = None


def _weights(q: Tensor, k: Tensor, mask: Tensor) -> Tensor:
    """Attention weights [batch, heads, q, k], which the fused kernel does not return."""
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    return (scores + mask).softmax(dim=-1)
