"""Predictions of a network on whole dialogues, batched by their size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avt_memocmt.data.dialogue_batch import collate
from avt_memocmt.data.labelled_dialogues import LabelledDialogue, similar_length_batches
from avt_memocmt.metrics.scores import outcome_counts, scores
from avt_memocmt.models.prediction import Prediction

TOKENS_AT_ONCE = 8192
_DECISION, _WEIGHTS, _SENTIMENT = "decision", "weights", "sentiment"


@torch.no_grad()
def predict_dialogues(
    network: nn.Module,
    dialogues: Sequence[LabelledDialogue],
    token_dims: dict[str, int],
    most_tokens: int = TOKENS_AT_ONCE,
) -> Prediction:
    """Classify every turn of some dialogues.

    Args:
        network: a `DialogueNetwork` in evaluation mode; the batches go to its device.
        dialogues: with what the network hears, at least one.
        token_dims: width of a token of each modality that the network hears.
        most_tokens: of one batch, padding included; the answer does not depend on it.

    Returns:
        Logits [turns, classes] on the CPU in single precision, over the turns of all dialogues in
        the order given; and, of a network that has them, the modality weights [turns, 3] and the
        sentiment's logits [turns, 3].
    """
    device = next(network.parameters()).device
    sizes = [len(dialogue.turns) for dialogue in dialogues]
    positions = torch.split(torch.arange(sum(sizes)), sizes)
    found: list[dict[str, Tensor]] = []
    order: list[Tensor] = []
    for rows in similar_length_batches(dialogues, most_tokens=most_tokens):
        batch = collate([dialogues[row].turns for row in rows], token_dims).to(device)
        prediction = network(batch)
        logits = {_DECISION: prediction.logits, **prediction.unimodal_logits}
        others = {_WEIGHTS: prediction.modality_weights, _SENTIMENT: prediction.sentiment_logits}
        logits |= {name: part for name, part in others.items() if part is not None}
        found.append({name: part[batch.turn_mask].float().cpu() for name, part in logits.items()})
        order += [positions[row] for row in rows]
    place = torch.cat(order).argsort()
    joined = {name: torch.cat([part[name] for part in found])[place] for name in found[0]}
    decision, weights, sentiment = (
        joined.pop(name, None) for name in (_DECISION, _WEIGHTS, _SENTIMENT)
    )
    assert decision is not None
    return Prediction(decision, weights, joined, sentiment_logits=sentiment)


def score_dialogues(
    network: nn.Module, dialogues: Sequence[LabelledDialogue], token_dims: dict[str, int]
) -> dict[str, float]:
    """`metrics.scores` of a network on the labelled turns of some dialogues.

    Arguments are those of `predict_dialogues`.
    """
    return scores(*_answers(network, dialogues, token_dims))


def count_outcomes(
    network: nn.Module, dialogues: Sequence[LabelledDialogue], token_dims: dict[str, int]
) -> NDArray[np.int64]:
    """`metrics.outcome_counts` of the same."""
    truth, guesses = _answers(network, dialogues, token_dims)
    return outcome_counts(truth, guesses, len(dialogues[0].labels))


def _answers(
    network: nn.Module, dialogues: Sequence[LabelledDialogue], token_dims: dict[str, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Label and most probable class of each labelled turn, both [n]."""
    truth = np.concatenate([dialogue.emotions for dialogue in dialogues])
    guesses = predict_dialogues(network, dialogues, token_dims).logits.argmax(dim=1).numpy()
    return truth[truth >= 0], guesses[truth >= 0]
