"""One decision as a differentiable function of the tokens that it was made from."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from avt_memocmt.data.dialogue_batch import ModalityBatch
from avt_memocmt.inference.dialogue import PreparedTurn
from avt_memocmt.models.avt_memocmt import AvtMemoCmt, Fused


class ForwardFunction:
    """The logits of one turn, given its tokens, with the dialogue's past held fixed.

    The whole network is passed: projection, Cross-Modal Transformer, gate, Temporal Transformer,
    classifier. Logits are those before temperature scaling, which only divides them.

    Args:
        model: in evaluation mode.
        turn: what was decided on; its modalities are the only ones that can be given.
    """

    def __init__(self, model: AvtMemoCmt, turn: PreparedTurn) -> None:
        self.model = model
        self.turn = turn
        self.present = tuple(m for m in model.modalities if m in turn.tokens)
        self._absent = {
            m: ModalityBatch(
                torch.zeros(1, 1, model.widths[m]),
                torch.zeros(1, 1, 2),
                torch.zeros(1, 1, dtype=torch.bool),
            )
            for m in model.modalities
        }

    def values(self, modality: str) -> Tensor:
        """The turn's tokens of a modality that is present, float32 [1, tokens, width]."""
        return torch.from_numpy(self.turn.tokens[modality].values)[None]

    def logits(self, values: Mapping[str, Tensor]) -> Tensor:
        """The decision on variants of the turn.

        Args:
            values: per modality [batch, tokens, width], at the turn's own times; batches of one are
                repeated. A modality that is left out is absent.

        Returns:
            [batch, 7].
        """
        turn = self.turn
        fused = self.fuse(values)
        return self.model.decide(fused, turn.past, turn.past_changes, turn.speaker_change)

    def fuse(self, values: Mapping[str, Tensor]) -> Fused:
        """The token level alone; arguments as of `logits`."""
        size = max((len(given) for given in values.values()), default=1)
        parts = {}
        for m in self.model.modalities:
            part = self._absent[m]
            if m in values:
                spans = torch.from_numpy(self.turn.tokens[m].spans)[None]
                mask = torch.ones(spans.shape[:2], dtype=torch.bool)
                part = ModalityBatch(values[m], spans, mask)
            parts[m] = ModalityBatch(
                part.values.expand(size, -1, -1),
                part.spans.expand(size, -1, -1),
                part.mask.expand(size, -1),
            )
        return self.model.fuse(parts)
