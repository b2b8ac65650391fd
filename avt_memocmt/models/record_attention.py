"""Keeping the weights by which one forward pass attended and pooled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from avt_memocmt.models.attention import Attention
from avt_memocmt.models.heads import StatisticsPooling


@contextmanager
def record_attention(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Collect the weights of one forward pass.

    The pass gives what it gives without recording, bit for bit: the weights are computed beside it,
    from the same queries and keys. Recording ends with the block, also after an error.

    Yields:
        A dictionary that holds, after the block, by module name, the weights of every attention
        [batch, heads, q, k] and of every pooling [batch, tokens] that ran inside it; of one that
        ran several times, the last.
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
