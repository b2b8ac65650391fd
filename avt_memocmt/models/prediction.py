"""The interface of every network on dialogues, and its answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor, nn

from avt_memocmt.data.dialogue_batch import DialogueBatch


@dataclass(frozen=True)
class Prediction:
    """A network's answer to a batch of dialogues.

    Attributes:
        logits: [batch, turns, classes] in the order of the configured labels.
        modality_weights: [batch, turns, 3], share of each modality in the decision, in the order of
            `MODALITIES`: 0 where it is absent; a row with any present sums to 1. None from a
            network that does not weigh modalities.
        unimodal_logits: per modality [batch, turns, classes], logits from its own tokens alone;
            empty from a network without such heads.
        sentiment_logits: [batch, turns, 3] in the order of `SENTIMENTS`; None from a network
            without that head.
        losses: scalars by name that a network adds to the loss of its decisions, of a batch with
            `targets`; weighted by `training.network_losses`.
    """

    logits: Tensor
    modality_weights: Tensor | None = None
    unimodal_logits: dict[str, Tensor] = field(default_factory=dict)
    sentiment_logits: Tensor | None = None
    losses: dict[str, Tensor] = field(default_factory=dict)


class DialogueNetwork(nn.Module):
    """A network that classifies the turns of dialogues.

    Attributes:
        modalities: those it reads; others are never used, even where a batch holds them.
        needed: modalities that the configuration must not leave out.
        in_context: whether a decision depends on the other turns of the dialogue.
    """

    modalities: tuple[str, ...]
    needed: ClassVar[tuple[str, ...]] = ()
    in_context: ClassVar[bool] = False

    def forward(self, batch: DialogueBatch) -> Prediction:
        """Classify every turn, also one without any modality."""
        raise NotImplementedError
