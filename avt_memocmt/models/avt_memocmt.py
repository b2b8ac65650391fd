"""AVT-MemoCMT: from encoder tokens to the emotion of every turn of a dialogue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from avt_memocmt.config import MODALITIES, ModelConfig, TokenShape
from avt_memocmt.data.dialogue_batch import DialogueBatch, ModalityBatch
from avt_memocmt.models.confidence import Novelty, Temperatures
from avt_memocmt.models.cross_modal_transformer import CrossModalTransformer
from avt_memocmt.models.heads import (
    LayerStatistics,
    StatisticsPooling,
    among_present,
    classifier,
    in_columns,
)
from avt_memocmt.models.prediction import DialogueNetwork, Prediction
from avt_memocmt.models.projections import make_projection
from avt_memocmt.models.temporal_transformer import TemporalTransformer

FUSED_AT_ONCE = 64
"""Turns whose tokens are padded to one length and fused together."""


@dataclass(frozen=True)
class Fused:
    """One vector per utterance.

    Attributes:
        utterances: [batch, dim].
        modality_weights: [batch, 3], share of each modality in that vector, in the order of
            `MODALITIES`: 0 where it is absent; a row with any present sums to 1.
        temperature: [batch], divides the logits of the turn that are decided from that vector.
        unimodal_logits: per modality logits [batch, 7] from its own tokens, before fusion, divided
            by a temperature of their own.
    """

    utterances: Tensor
    modality_weights: Tensor
    temperature: Tensor
    unimodal_logits: dict[str, Tensor]

    def map(self, call: Callable[[Tensor], Tensor]) -> Fused:
        """Apply `call` to every tensor."""
        return Fused(
            call(self.utterances),
            call(self.modality_weights),
            call(self.temperature),
            {m: call(logits) for m, logits in self.unimodal_logits.items()},
        )


class AvtMemoCmt(DialogueNetwork):
    """Projection, Cross-Modal Transformer, gated fusion, Temporal Transformer, classifier.

    Args:
        shapes: what the tokens of each modality hold, by the names in `config.modalities`.
        config: modalities, widths, depths and the causal mode. Without cross-modal layers the
            modalities first meet in the gated fusion; without temporal layers a turn is classified
            by itself and by whether its speaker changed.

    Attributes:
        dim: width of an utterance vector.
        widths: per modality, width of the tokens that it is given.
    """

    def __init__(self, shapes: dict[str, TokenShape], config: ModelConfig) -> None:
        super().__init__()
        c = config
        self.dim = c.dim
        self.modalities = tuple(m for m in MODALITIES if m in c.modalities)
        heard = self.modalities
        self.widths = {m: shapes[m].width for m in heard}
        self.projections = nn.ModuleDict(
            {m: make_projection(m, shapes[m], c.dim, c.dropout) for m in heard}
        )
        self._positions = {m: len(shapes[m].names or (m,)) for m in heard}
        # The projection to tokens mixes the hidden layers of an encoder; these keep them apart.
        self.layer_statistics = nn.ModuleDict(
            {
                m: LayerStatistics(self.widths[m], c.dim, c.statistics_dropout)
                for m in heard
                if shapes[m].layers > 1
            }
        )
        self.unimodal_pools = nn.ModuleDict(
            {m: StatisticsPooling(c.dim) for m in heard if m not in self.layer_statistics}
        )
        self.unimodal_heads = nn.ModuleDict({m: classifier(c.dim, c.dropout) for m in heard})
        self.cross_modal = CrossModalTransformer(heard, c)
        self.pools = nn.ModuleDict({m: StatisticsPooling(c.dim) for m in heard})
        self.gate = nn.Linear(len(heard) * c.dim, len(heard))
        self.temporal = TemporalTransformer(c)
        self.head = classifier(c.dim, c.dropout)
        self.novelty = nn.ModuleDict(
            {m: Novelty(2 * self.widths[m]) for m in self.layer_statistics}
        )
        self.temperatures = Temperatures()

    def forward(self, batch: DialogueBatch) -> Prediction:
        """Classify every turn of a batch of dialogues.

        A turn without any modality is classified by the state tokens and by the dialogue.
        """
        fused = self._fuse_turns(batch)
        logits = self.classify(fused.utterances, batch.turn_mask, batch.speaker_change)
        # Padding is no turn and has no temperature.
        temperature = fused.temperature.masked_fill(~batch.turn_mask, 1.0)[:, :, None]
        return Prediction(logits / temperature, fused.modality_weights, fused.unimodal_logits)

    def _fuse_turns(self, batch: DialogueBatch) -> Fused:
        """Fuse the real turns, those of similar length together to save padding.

        Attention that is recorded meanwhile has the turns in that order.

        Returns:
            Tensors [batch, turns, ...], 0 at padding.
        """
        parts = {m: batch.modalities[m].flatten_turns() for m in self.modalities}
        real = batch.turn_mask.flatten().nonzero().squeeze(1)
        lengths = torch.stack([part.mask[real].sum(dim=1) for part in parts.values()]).sum(dim=0)
        chunks = torch.split(real[lengths.argsort(stable=True)], FUSED_AT_ONCE)
        found = [
            self.fuse({m: part.rows(rows, self._positions[m]) for m, part in parts.items()})
            for rows in chunks
        ]

        def placed(values: list[Tensor]) -> Tensor:
            blank = values[0].new_zeros(batch.turn_mask.numel(), values[0].shape[1])
            filled = blank.index_put((torch.cat(chunks),), torch.cat(values))
            return filled.view(*batch.turn_mask.shape, -1)

        return Fused(
            placed([fused.utterances for fused in found]),
            placed([fused.modality_weights for fused in found]),
            placed([fused.temperature[:, None] for fused in found]).squeeze(2),
            {m: placed([fused.unimodal_logits[m] for fused in found]) for m in self.modalities},
        )

    def fuse(self, parts: dict[str, ModalityBatch]) -> Fused:
        """Token level: one vector per utterance from `parts` with [batch, tokens, ...] tensors.

        A modality is pooled after the Cross-Modal Transformer and, as a residual, before it, so
        that what it shows alone need not pass through the others.
        """
        tokens, masks, own, unimodal_logits, novelty = {}, {}, {}, {}, {}
        for m in self.modalities:
            part = parts[m]
            tokens[m], masks[m] = self.projections[m](part.values, part.spans, part.mask)
            own[m], novelty[m] = self._own(m, part, tokens[m], masks[m])
            temperature = self.temperatures.of_modality(m, novelty[m])
            unimodal_logits[m] = self.unimodal_heads[m](own[m]) / temperature[:, None]
        crossed = self.cross_modal(tokens, masks)
        pooled = [own[m] + self.pools[m](crossed[m], masks[m]) for m in self.modalities]
        present = torch.stack([parts[m].mask.any(dim=1) for m in self.modalities], dim=1)
        scores = among_present(self.gate(torch.cat(pooled, dim=1)), present)
        weights = scores.softmax(dim=1)
        utterances = (weights[:, :, None] * torch.stack(pooled, dim=1)).sum(dim=1)
        temperature = self.temperatures(
            in_columns(present, self.modalities),
            in_columns(torch.stack(list(novelty.values()), dim=1), self.modalities),
        )
        shares = in_columns(weights * present, self.modalities)
        return Fused(utterances, shares, temperature, unimodal_logits)

    def _own(
        self, modality: str, part: ModalityBatch, tokens: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Pool one modality before fusion: [batch, dim], and its novelty [batch], 0 where absent.

        Novelty is measured of encoders with several hidden layers, and 0 of others.
        """
        if modality not in self.layer_statistics:
            return self.unimodal_pools[modality](tokens, mask), torch.zeros_like(tokens[:, 0, 0])
        layers = self.layer_statistics[modality]
        assert isinstance(layers, LayerStatistics)
        standard = layers.standard(part.values, part.mask)
        distance = self.novelty[modality](standard)
        return layers.project(standard), distance * part.mask.any(dim=1)

    def classify(self, utterances: Tensor, turn_mask: Tensor, speaker_change: Tensor) -> Tensor:
        """Dialogue level: [batch, turns, dim] -> logits [batch, turns, 7], before `temperature`."""
        logits: Tensor = self.head(self.temporal(utterances, turn_mask, speaker_change))
        return logits
