"""Which tokens attended to which in one decision, by word, face and stretch of sound.

Attention says where information was read from, not what decided (Jain & Wallace 2019). How much
each modality counted is therefore given twice: by attention rollout, and by `leave_one_out`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from avt_memocmt.as_program import run_command
from avt_memocmt.explainability.evidence import WordEvidence
from avt_memocmt.inference.dialogue import PreparedTurn
from avt_memocmt.inference.results import UtterancePrediction
from avt_memocmt.models.attention import record_attention
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.models.cross_modal_transformer import DIRECTIONS
from avt_memocmt.wording import clock

STATE = "state"
"""Label of the learned token before each modality's own, which says that it is present."""
MAP_STEP = 0.2
"""Seconds of sound that share a row or column of a map."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Axis:
    """The tokens of one modality, grouped as people read them.

    Attributes:
        labels: of the groups; the first is `STATE`. Times in them are those of the recording.
        spans: seconds [groups, 2] in the utterance; NaN for the state token.
        groups: int [1 + tokens], the group of each token.
    """

    labels: tuple[str, ...]
    spans: Array
    groups: NDArray[np.int64]


@dataclass(frozen=True)
class DecisionAttention:
    """The attention weights of the pass that made one decision.

    Attributes:
        axes: of the modalities that are present.
        maps: (target, source) -> [layers, heads, target groups, source groups]: the share of each
            group of the source in what a token of the target read, averaged over the tokens of its
            group. Only between modalities that are present.
        rollout: (target, source) -> [target groups, source groups], the layers multiplied out;
            also of a modality and itself.
        turns: [layers, heads, turns], what this turn read of each turn of the past and of itself,
            oldest first; empty where the network has no temporal layers.
        gate: share in the pool of own decisions of each modality that is present.
        contributions: share of each modality that is present by rollout, through pooling and gate;
            they sum to 1.
    """

    axes: dict[str, Axis]
    maps: dict[tuple[str, str], Array]
    rollout: dict[tuple[str, str], Array]
    turns: Array
    gate: dict[str, float]
    contributions: dict[str, float]


def decide_with_attention(
    decide: Callable[[PreparedTurn], UtterancePrediction],
    model: AvtMemoCmt,
    turn: PreparedTurn,
    words: WordEvidence | None,
) -> tuple[UtterancePrediction, DecisionAttention]:
    """Decide on a turn, and keep what that same pass attended to.

    Args:
        decide: `DialogueReader.decide` of the reader that prepared the turn.
        model: of that reader.
        turn: to decide on.
        words: of the turn; None where it has none.
    """
    with record_attention(model) as recorded:
        prediction = decide(turn)
    gate = {m: use.weight for m, use in prediction.modalities.items() if use.present}
    present = [m for m in model.modalities if m in turn.tokens]
    axes = {m: turn_axis(turn, m, words) for m in present}
    return prediction, decision_attention(recorded, axes, gate)


def decision_attention(
    recorded: Mapping[str, Tensor], axes: dict[str, Axis], gate: dict[str, float]
) -> DecisionAttention:
    """What one decision attended to.

    Args:
        recorded: by `record_attention`, in a pass over this turn alone.
        axes: of the modalities that are present.
        gate: as of `DecisionAttention`.
    """
    present = list(axes)
    raw = {
        (target, source): _layers(recorded, f"{target}_from_{source}")
        for target, source in DIRECTIONS
        if target in present and source in present
    }
    rolled = attention_rollout(
        {pair: weights.mean(axis=1) for pair, weights in raw.items()},
        {m: len(axis.groups) for m, axis in axes.items()},
    )
    pooling = {m: recorded[f"pools.{m}"][0].double().numpy() for m in present}
    return DecisionAttention(
        axes,
        {(t, s): grouped(w, axes[t], axes[s]) for (t, s), w in raw.items()},
        {(t, s): grouped(w, axes[t], axes[s]) for (t, s), w in rolled.items()},
        _layers(recorded, "temporal.", last_query=True),
        gate,
        _contributions(rolled, pooling, gate),
    )


def attention_rollout(
    maps: Mapping[tuple[str, str], Array], lengths: Mapping[str, int]
) -> dict[tuple[str, str], Array]:
    """Attention rollout (Abnar & Zuidema 2020, equation 1) over the tokens of several modalities.

    In each layer a token keeps itself and reads from each other modality, with equal weights.
    Absent modalities have no rows or columns: nothing is attributed to them.

    Args:
        maps: (target, source) -> [layers, target tokens, source tokens], the mean of the heads;
            rows sum to 1.
        lengths: tokens of each modality, state token included.

    Returns:
        (target, source), also of a modality and itself, -> [target tokens, source tokens]; the rows
        of one target over all sources sum to 1.
    """
    layers = len(next(iter(maps.values()))) if maps else 0
    names = list(lengths)
    edges = np.cumsum([0, *(lengths[m] for m in names)])
    place = {m: slice(edges[i], edges[i + 1]) for i, m in enumerate(names)}
    joint = np.eye(edges[-1])
    for layer in range(layers):
        step = np.eye(edges[-1])
        for (target, source), weights in maps.items():
            step[place[target], place[source]] += weights[layer]
        joint = step / step.sum(axis=1, keepdims=True) @ joint
    return {(t, s): joint[place[t], place[s]] for t in names for s in names}


def grouped(weights: Array, rows: Axis, columns: Axis) -> Array:
    """Weights [..., q, k] of tokens -> of groups: means of queries, sums of keys."""
    queries, keys = (np.eye(len(axis.labels))[axis.groups] for axis in (rows, columns))
    return (queries / queries.sum(axis=0)).T @ weights @ keys


def turn_axis(turn: PreparedTurn, modality: str, words: WordEvidence | None) -> Axis:
    """The tokens of a turn: words whole, faces one by one, sound in steps of `MAP_STEP`.

    Faces and sound are named by the time in the recording at which they begin.
    """
    known = None if words is None else (words.words, words.word_of_piece)
    return token_axis(modality, turn.tokens[modality].spans, known, turn.utterance.start)


def token_axis(
    modality: str,
    token_spans: NDArray[np.float32],
    words: tuple[Sequence[str], Sequence[int]] | None,
    start: float = 0.0,
) -> Axis:
    """`turn_axis` of any tokens.

    Args:
        modality: of the tokens.
        token_spans: seconds [tokens, 2] from the start of the utterance.
        words: those that were read, and the one of each word piece; None where not known.
        start: of the utterance, seconds in the recording.
    """
    spans = token_spans.astype(np.float64)
    if modality == "text" and words is not None:
        groups = np.array(words[1])
    elif modality == "visual":
        groups = np.arange(len(spans))
    else:
        groups = np.unique((spans.mean(axis=1) / MAP_STEP).astype(int), return_inverse=True)[1]
    edges = [
        (spans[groups == group, 0].min(), spans[groups == group, 1].max())
        for group in range(int(groups.max()) + 1)
    ]
    if modality == "text" and words is not None:
        names = list(words[0])
    else:
        decimals = 2 if modality == "visual" else 1
        names = [f"{clock(begin + start, decimals)} s" for begin, _ in edges]
    return Axis(
        (STATE, *names),
        np.array([(np.nan, np.nan), *edges]),
        np.concatenate([[0], groups + 1]).astype(np.int64),
    )


def _contributions(
    rolled: Mapping[tuple[str, str], Array],
    pooling: Mapping[str, Array],
    gate: Mapping[str, float],
) -> dict[str, float]:
    """The share of each modality by rollout.

    Half of a modality's share in the gate is for its own decision, made before the Cross-Modal
    Transformer; half for what its tokens have read after it.
    """
    found = dict.fromkeys(gate, 0.0)
    for target, share in gate.items():
        found[target] += share / 2
        for source in gate:
            read = pooling[target] @ rolled[target, source]
            found[source] += share / 2 * float(read.sum())
    return found


def _layers(recorded: Mapping[str, Tensor], name: str, last_query: bool = False) -> Array:
    """Weights [layers, heads, q, k] of the attentions of this name, lowest layer first."""
    found = [
        weights[0].double().numpy()
        for module, weights in recorded.items()
        if name in f"{module}." and weights.ndim == 4
    ]
    if not found:
        return np.zeros((0, 0, 0))
    stacked = np.stack(found)
    return stacked[:, :, -1] if last_query else stacked


if __name__ == "__main__":
    run_command("explain-by", "attention")
