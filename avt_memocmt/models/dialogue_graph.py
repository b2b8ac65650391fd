"""The graph over the turns of a dialogue: who speaks, and which turn comes first."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RELATIONS = 4
"""From a turn's speaker, no later than it and later; from others, earlier and later."""


def relations(speakers: Tensor, turn_mask: Tensor, window: int, causal: bool) -> Tensor:
    """Which turns a turn hears, by relation, each weighted by one over their number.

    A turn whose speaker is unknown is nobody else's but its own.

    Args:
        speakers: int64 [batch, turns], numbers; negative = unknown.
        turn_mask: bool [batch, turns], True at real turns.
        window: turns on one side, itself included, that a turn hears.
        causal: whether it hears past turns alone.

    Returns:
        float [batch, RELATIONS, turns, turns]: hearer, heard. Each row sums to 1, or to 0 where
        nobody is heard.
    """
    order = torch.arange(speakers.shape[1], device=speakers.device)
    ahead = order[None, :] - order[:, None]
    near = ahead.abs() < window
    if causal:
        near = near & (ahead <= 0)
    edges = near & turn_mask[:, None, :] & turn_mask[:, :, None]
    known = (speakers >= 0)[:, :, None]
    same = (known & (speakers[:, :, None] == speakers[:, None, :])) | (ahead == 0)
    later = ahead > 0
    kinds = [who & when for who in (same, ~same) for when in (~later, later)]
    heard = torch.stack([edges & kind for kind in kinds], dim=1).float()
    return heard / heard.sum(dim=3, keepdim=True).clamp(min=1)


class RelationalLayer(nn.Module):
    """A relational graph convolution (Schlichtkrull et al. 2018, equation 2) on two kinds of nodes.

    Each turn has a node of its context and one of a decoupled part of it. From the same speaker a
    context hears contexts, from others their decoupled parts; a decoupled part hears nobody.

    Args:
        dim: width of the nodes.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.own = nn.Linear(dim, dim)
        self.by_relation = nn.Parameter(torch.empty(RELATIONS, dim, dim))
        for matrix in self.by_relation:
            nn.init.xavier_uniform_(matrix)

    def forward(self, contexts: Tensor, parts: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
        """One layer.

        Args:
            contexts, parts: [batch, turns, dim].
            edges: from `relations`.

        Returns:
            Contexts and parts, [batch, turns, dim].
        """
        said = torch.stack([contexts, contexts, parts, parts], dim=1)
        heard = torch.einsum("brij,brjd,rde->bie", edges, said, self.by_relation)
        return self.own(contexts) + heard, self.own(parts)


class DialogueGraph(nn.Module):
    """Two relational layers, layer norm and leaky ReLU."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(RelationalLayer(dim) for _ in range(2))
        self.norm = nn.LayerNorm(dim)

    def forward(self, contexts: Tensor, parts: Tensor, edges: Tensor) -> Tensor:
        """Contexts [batch, turns, dim] after two steps; arguments as of `RelationalLayer`."""
        for layer in self.layers:
            contexts, parts = layer(contexts, parts, edges)
        return F.leaky_relu(self.norm(contexts))
