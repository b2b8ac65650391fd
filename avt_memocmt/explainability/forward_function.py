"""One decision as a differentiable function of its tokens (Captum calls it `forward_func`)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from avt_memocmt.data.dialogue_batch import ModalityBatch
from avt_memocmt.inference.dialogue import PreparedTurn
from avt_memocmt.models.avt_memocmt import AvtMemoCmt, Fused


class ForwardFunction:
    """The logits of one turn, given its tokens, with the dialogue's past held fixed.

    The whole network is passed: projection, each modality's own decision, their pool, and both
    transformers' correction of it. Logits are those before temperature scaling, which only divides
    them, and less their mean over the classes: the pool adds log probabilities, which are all below
    0, so that only the difference says what speaks for a class.

    Args:
        model: in evaluation mode.
        turn: what was decided on; only the modalities that it has can be given.

    Attributes:
        present: names of those modalities.
    """

    def __init__(self, model: AvtMemoCmt, turn: PreparedTurn) -> None:
        self.model = model
        self.turn = turn
        self.present = tuple(m for m in model.modalities if m in turn.tokens)

    def values(self, without: str | None = None) -> dict[str, Tensor]:
        """The turn's own tokens by modality, float32 [1, tokens, width]; `without` is left out."""
        return {
            m: torch.from_numpy(self.turn.tokens[m].values)[None]
            for m in self.present
            if m != without
        }

    def logits(self, values: Mapping[str, Tensor]) -> Tensor:
        """The decision on variants of the turn.

        Args:
            values: per modality [batch, tokens, width], at the turn's own times; batches of one are
                repeated. A modality that is left out is absent.

        Returns:
            [batch, 7], each row sums to 0.
        """
        fused = self.fuse(values)
        dialogue = self.turn.after_past(fused.utterances)
        logits = fused.logits(self.model.classify(*dialogue)[:, -1])
        return logits - logits.mean(dim=1, keepdim=True)

    def fuse(self, values: Mapping[str, Tensor]) -> Fused:
        """The part of the network before the dialogue's past; arguments as of `logits`."""
        size = max((len(given) for given in values.values()), default=1)
        modalities = self.model.modalities
        return self.model.fuse({m: self._batch(m, values.get(m), size) for m in modalities})

    def _batch(self, modality: str, values: Tensor | None, size: int) -> ModalityBatch:
        """The tokens of one modality for `size` variants; one masked token where it is absent."""
        spans = torch.zeros(1, 1, 2)
        if values is not None:
            spans = torch.from_numpy(self.turn.tokens[modality].spans)[None]
        mask = torch.full(spans.shape[:2], values is not None)
        width = self.model.widths[modality]
        given = torch.zeros(1, 1, width) if values is None else values
        baseline, count = torch.zeros(1, 2 * width), torch.zeros(1)
        own = self.turn.baselines.get(modality)
        if own is not None:
            baseline, count = torch.from_numpy(own.statistics)[None], count + own.count
        part = ModalityBatch(given, spans, mask, baseline, count)
        return part.map(lambda tensor: tensor.expand(size, *tensor.shape[1:]))


def leave_one_out(function: ForwardFunction, emotion: int) -> dict[str, float]:
    """What the logit of a class loses without each modality that is present.

    Args:
        function: the turn's forward function.
        emotion: index of the class.

    Returns:
        Logit with all modalities minus logit without the one; above 0: it speaks for the class.
    """
    with torch.no_grad():
        whole = function.logits(function.values())[0, emotion]
        return {
            m: float(whole - function.logits(function.values(without=m))[0, emotion])
            for m in function.present
        }
