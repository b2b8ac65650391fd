"""D2GNN: decoupled parts of every modality, distilled, and told through a graph of the dialogue."""

from __future__ import annotations

from dataclasses import fields
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from avt_memocmt.config import MODALITIES, ModelConfig, TokenShape
from avt_memocmt.data.dialogue_batch import DialogueBatch
from avt_memocmt.emotions import NUM_EMOTIONS
from avt_memocmt.models.baselines import only_if_absent, pool_tokens, raw_tokens
from avt_memocmt.models.decoupling import Decoupled, Decoupling, Distillation, prototype_contrast
from avt_memocmt.models.dialogue_graph import DialogueGraph, relations
from avt_memocmt.models.prediction import DialogueNetwork, Prediction

JOINT = "joint"
"""Name of the vector of all modalities together, beside those of `MODALITIES`."""
PROTOTYPE = 32
"""Width of an emotion's prototype."""


class DialogueContext(nn.Module):
    """A linear layer and two layers of LSTM over the turns.

    Args:
        width: of an utterance vector.
        config: width of the context; past-only or both sides; dropout between the layers.
    """

    def __init__(self, width: int, config: ModelConfig) -> None:
        super().__init__()
        sides = 1 if config.causal else 2
        self.resize = nn.Linear(width, config.dim)
        self.lstm = nn.LSTM(
            config.dim,
            config.dim // sides,
            num_layers=2,
            batch_first=True,
            bidirectional=not config.causal,
            dropout=config.dropout,
        )

    def forward(self, utterances: Tensor, turn_mask: Tensor) -> Tensor:
        """[batch, turns, width], bool [batch, turns] -> [batch, turns, dim], 0 at padding."""
        lengths = turn_mask.sum(dim=1).cpu()
        resized = self.resize(utterances)
        packed = pack_padded_sequence(resized, lengths, batch_first=True, enforce_sorted=False)
        heard, _ = pad_packed_sequence(
            self.lstm(packed)[0], batch_first=True, total_length=turn_mask.shape[1]
        )
        return heard


class D2gnn(DialogueNetwork):
    """D2GNN (Dai et al. 2024, IEEE TCSVT, doi:10.1109/TCSVT.2024.3405406) on stored tokens.

    Each modality of an utterance, and all of them in the context of the dialogue, are divided into
    an emotion-aware part, which is classified, and an emotion-agnostic one, which an information
    bottleneck keeps free of the label; both together rebuild what was divided. A distillation adds
    the modalities' parts to the joint one. Two graphs over the turns, one for each part, carry
    contexts between turns of one speaker and distilled parts between speakers. Their outputs are
    classified, and contrasted with a prototype of each emotion.

    The paper's text was not at hand; this follows its abstract and the authors' public code
    (github.com/gityider/D2GNN, for IEMOCAP), with its sizes relative to the width and its weights
    of the losses (`training.network_losses`; 0.05 for each modality's own decision).

    Where it departs from that code: an utterance vector is the mean of stored tokens. Distilled
    parts are sent to the turns that hear them; there the edges point the other way, so that the
    output does not depend on the parts. The bottleneck is trained; there its value is added without
    a gradient, so its bounds are chosen here (see `InformationBottleneck`). Dropout acts while
    training alone. Layer norm is in place of batch norm. Past-only, the LSTM reads forwards, twice
    as wide. Absent modalities and padding are masked.

    Args:
        shapes: what the tokens of each modality hold, by the names in `config.modalities`.
        config: modalities, width, window, past-only or both sides, dropout.
        classes: how many there are to tell apart.
    """

    in_context = True

    def __init__(
        self, shapes: dict[str, TokenShape], config: ModelConfig, classes: int = NUM_EMOTIONS
    ) -> None:
        super().__init__()
        self.window, self.causal = config.temporal_window, config.causal
        self.modalities = heard = tuple(m for m in MODALITIES if m in config.modalities)
        dim, dropout = config.dim, config.dropout
        self.inputs = nn.ModuleDict({m: raw_tokens(m, shapes[m], config) for m in heard})
        self.encoders = nn.ModuleDict({m: _encoder(dim, dropout) for m in heard})
        self.context = DialogueContext(len(heard) * dim, config)
        self.decouplings = nn.ModuleDict(
            {v: Decoupling(dim, dropout, classes) for v in (JOINT, *heard)}
        )
        self.distillations = nn.ModuleDict({p: Distillation(heard, dim) for p in _PARTS})
        self.graphs = nn.ModuleDict({p: DialogueGraph(dim) for p in _PARTS})
        self.head = nn.Sequential(
            nn.Linear(2 * dim, dim),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(dim, dim),
            nn.Linear(dim, classes),
        )
        self.features = nn.Linear(2 * dim, PROTOTYPE)
        self.prototypes = nn.Parameter(torch.randn(classes, PROTOTYPE))

    def forward(self, batch: DialogueBatch) -> Prediction:
        """Classify every turn of a batch of dialogues."""
        shape = batch.turn_mask.shape
        utterances, present = self._utterances(batch)
        joined = torch.cat(list(utterances.values()), dim=1).view(*shape, -1)
        context = self.context(joined, batch.turn_mask)
        vectors = {JOINT: context.flatten(0, 1)}
        vectors |= {m: self.encoders[m](utterances[m]) for m in self.modalities}
        parts = {view: self.decouplings[view](vector) for view, vector in vectors.items()}
        edges = relations(batch.speakers, batch.turn_mask, self.window, self.causal)
        told = [
            self.graphs[name](
                context, self._distilled(name, parts, present).view_as(context), edges
            )
            for name in _PARTS
        ]
        seen = torch.cat(told, dim=2)
        unimodal_logits = {m: parts[m].logits.view(*shape, -1) for m in self.modalities}
        losses = {}
        if batch.targets is not None:
            losses = self._losses(batch.targets.flatten(0, 1), vectors, parts, seen, present)
        return Prediction(self.head(seen), None, unimodal_logits, losses=losses)

    def _utterances(self, batch: DialogueBatch) -> tuple[dict[str, Tensor], Tensor]:
        """Mean of the tokens of each modality [turns, dim], bool [turns, modalities] if present."""
        utterances, present = {}, []
        for m in self.modalities:
            part = batch.modalities[m].flatten_turns()
            tokens, mask = self.inputs[m](part.values, part.spans, part.mask)
            utterances[m] = pool_tokens(tokens, only_if_absent(mask), "mean")
            present.append(part.mask.any(dim=1))
        return utterances, torch.stack(present, dim=1)

    def _distilled(self, name: str, parts: dict[str, Decoupled], present: Tensor) -> Tensor:
        own = {m: getattr(parts[m], name) for m in self.modalities}
        distilled: Tensor = self.distillations[name](getattr(parts[JOINT], name), own, present)
        return distilled

    def _losses(
        self,
        targets: Tensor,
        vectors: dict[str, Tensor],
        parts: dict[str, Decoupled],
        seen: Tensor,
        present: Tensor,
    ) -> dict[str, Tensor]:
        """The terms that `NetworkLosses` weighs, over the turns with a label."""
        labelled = targets.sum(dim=1) > 0
        own = [present[:, i] & labelled for i in range(len(self.modalities))]
        decoupled = []
        for view, rows in zip((JOINT, *self.modalities), (labelled, *own), strict=True):
            decoupling = cast(Decoupling, self.decouplings[view])
            chosen = vectors[view][rows], _rows(parts[view], rows), targets[rows]
            decoupled.append(decoupling.losses(*chosen))
        labels, logits = targets[labelled], parts[JOINT].logits[labelled]
        features = self.features(seen.flatten(0, 1)[labelled])
        return {
            "joint": -(labels * logits.log_softmax(dim=1)).sum() / max(1, len(labels)),
            **{name: torch.stack([d[name] for d in decoupled]).sum() for name in decoupled[0]},
            "contrast": prototype_contrast(features, self.prototypes, labels),
        }


_PARTS = ("agnostic", "aware")


def _rows(parts: Decoupled, rows: Tensor) -> Decoupled:
    return Decoupled(*(getattr(parts, field.name)[rows] for field in fields(parts)))


def _encoder(dim: int, dropout: float) -> nn.Sequential:
    """Linear, ReLU, dropout, linear, layer norm: [turns, dim] -> [turns, dim]."""
    return nn.Sequential(
        nn.Linear(dim, 2 * dim),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(2 * dim, dim),
        nn.LayerNorm(dim),
    )
