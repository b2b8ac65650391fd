"""AVT-MemoCMT: from encoder tokens to the emotion of every turn of a dialogue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from avt_memocmt.config import MODALITIES, ModelConfig, TokenShape
from avt_memocmt.data.dialogue_batch import DialogueBatch, ModalityBatch
from avt_memocmt.data.speaker_baselines import MODALITIES_OF_A_PERSON
from avt_memocmt.emotions import NUM_EMOTIONS, SENTIMENTS
from avt_memocmt.models.confidence import Novelty, Temperatures
from avt_memocmt.models.cross_modal_transformer import CrossModalTransformer
from avt_memocmt.models.heads import (
    LayerStatistics,
    ReliabilityGate,
    SpeakerBaseline,
    StatisticsPooling,
    classifier,
    in_columns,
    zero_last_layer,
)
from avt_memocmt.models.prediction import DialogueNetwork, Prediction
from avt_memocmt.models.projections import make_projection
from avt_memocmt.models.temporal_transformer import TemporalTransformer

FUSED_AT_ONCE = 64
"""Turns whose tokens are padded to one length and fused together."""


@dataclass(frozen=True)
class Fused:
    """What is known of an utterance before the dialogue is.

    Attributes:
        utterances: [batch, dim], one vector each.
        pooled_logits: [batch, classes], the modalities' own decisions pooled.
        corrected: [batch], 1 where the dialogue corrects that pool, 0 where a lone modality
            decides by itself.
        modality_weights: [batch, 3], share of each modality in that pool, in the order of
            `MODALITIES`: 0 where it is absent; a row with any present sums to 1.
        temperature: [batch], divides the logits of the turn.
        unimodal_logits: per modality logits [batch, classes] from its own tokens, before fusion,
            divided by a temperature of their own.
    """

    utterances: Tensor
    pooled_logits: Tensor
    corrected: Tensor
    modality_weights: Tensor
    temperature: Tensor
    unimodal_logits: dict[str, Tensor]

    def logits(self, correction: Tensor) -> Tensor:
        """The decision on each turn before its temperature, [batch, classes].

        Args:
            correction: [batch, classes], what `AvtMemoCmt.classify` returned for the turn.
        """
        return self.pooled_logits + self.corrected[..., None] * correction

    def map(self, call: Callable[[Tensor], Tensor]) -> Fused:
        """Apply `call` to every tensor."""
        return Fused(
            call(self.utterances),
            call(self.pooled_logits),
            call(self.corrected),
            call(self.modality_weights),
            call(self.temperature),
            {m: call(logits) for m, logits in self.unimodal_logits.items()},
        )


class AvtMemoCmt(DialogueNetwork):
    """Projection, Cross-Modal Transformer, Temporal Transformer, and a pool that they correct.

    Each modality decides by itself. A logarithmic opinion pool joins these decisions (Genest and
    Zidek 1986, section 3): a sum of their log probabilities, in which each weighs as much as the
    gate trusts it. The two transformers add a correction, which is zero before they are trained. A
    modality that is alone decides by itself.

    Args:
        shapes: what the tokens of each modality hold, by the names in `config.modalities`.
        config: modalities, widths, depths and the causal mode. Without cross-modal layers the
            modalities first meet in the pool; without temporal layers a turn is classified by
            itself and by whether its speaker changed.
        classes: how many there are to tell apart.

    Attributes:
        dim: width of an utterance vector.
        widths: per modality, width of the tokens that it is given.
    """

    in_context = True

    def __init__(
        self, shapes: dict[str, TokenShape], config: ModelConfig, classes: int = NUM_EMOTIONS
    ) -> None:
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
        self.unimodal_heads = nn.ModuleDict(
            {m: classifier(c.dim, c.dropout, classes) for m in heard}
        )
        self.cross_modal = CrossModalTransformer(heard, c)
        self.pools = nn.ModuleDict({m: StatisticsPooling(c.dim) for m in heard})
        self.baselines = nn.ModuleDict(
            {
                m: SpeakerBaseline(self.widths[m])
                for m in heard
                if m in MODALITIES_OF_A_PERSON and shapes[m].names is None
            }
        )
        self.gate = ReliabilityGate(len(heard), c.dim, classes)
        self.temporal = TemporalTransformer(c)
        self.head = classifier(c.dim, c.dropout, classes)
        zero_last_layer(self.head)
        self.novelty = nn.ModuleDict(
            {m: Novelty(2 * self.widths[m]) for m in self.layer_statistics}
        )
        self.temperatures = Temperatures()
        self.sentiment_head: nn.Sequential | None = None

    def add_sentiment_head(self, dropout: float) -> None:
        """Give the network a second head, which reads the same vectors as the correction."""
        self.sentiment_head = classifier(self.dim, dropout, len(SENTIMENTS))

    def forward(self, batch: DialogueBatch) -> Prediction:
        """Classify every turn of a batch of dialogues.

        A turn without any modality is classified by the state tokens and by the dialogue.
        """
        fused = self._fuse_turns(batch)
        dialogue = fused.utterances, batch.turn_mask, batch.speaker_change
        correction = self.classify(*dialogue)
        # Padding is no turn and has no temperature.
        temperature = fused.temperature.masked_fill(~batch.turn_mask, 1.0)[:, :, None]
        logits = fused.logits(correction) / temperature
        sentiment = self.classify_sentiment(*dialogue)
        return Prediction(
            logits, fused.modality_weights, fused.unimodal_logits, sentiment_logits=sentiment
        )

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
            placed([fused.pooled_logits for fused in found]),
            placed([fused.corrected[:, None] for fused in found]).squeeze(2),
            placed([fused.modality_weights for fused in found]),
            placed([fused.temperature[:, None] for fused in found]).squeeze(2),
            {m: placed([fused.unimodal_logits[m] for fused in found]) for m in self.modalities},
        )

    def fuse(self, parts: dict[str, ModalityBatch]) -> Fused:
        """Token level: `parts` with [batch, tokens, ...] tensors."""
        tokens, masks, unimodal_logits, novelty = {}, {}, {}, {}
        for m in self.modalities:
            part = parts[m]
            if m in self.baselines:
                part = self.baselines[m](part)
            tokens[m], masks[m] = self.projections[m](part.values, part.spans, part.mask)
            own, novelty[m] = self._own(m, part, tokens[m], masks[m])
            temperature = self.temperatures.of_modality(m, novelty[m])
            unimodal_logits[m] = self.unimodal_heads[m](own) / temperature[:, None]
        present = torch.stack([parts[m].mask.any(dim=1) for m in self.modalities], dim=1)
        own_decisions = torch.stack(list(unimodal_logits.values()), dim=1).log_softmax(dim=2)
        strange = torch.stack(list(novelty.values()), dim=1)
        trust, judged = self.gate(own_decisions, strange, present)
        lone = present.sum(dim=1) == 1
        trust = torch.where(lone[:, None], present.to(trust.dtype), trust)
        pooled_logits = (trust[:, :, None] * own_decisions).sum(dim=1)
        weights = trust / trust.sum(dim=1, keepdim=True).clamp(min=1e-6)
        crossed = self.cross_modal(tokens, masks)
        vectors = [self.pools[m](crossed[m], masks[m]) for m in self.modalities]
        utterances = judged + torch.stack(vectors).sum(dim=0)
        temperature = self.temperatures(in_columns(present, self.modalities))
        shares = in_columns(weights, self.modalities)
        corrected = (~lone).to(pooled_logits.dtype)
        return Fused(utterances, pooled_logits, corrected, shares, temperature, unimodal_logits)

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
        standard = layers.standard(part)
        distance = self.novelty[modality](standard)
        return layers(standard), distance * part.mask.any(dim=1)

    def classify(self, utterances: Tensor, turn_mask: Tensor, speaker_change: Tensor) -> Tensor:
        """Dialogue level: [batch, turns, dim] -> correction [batch, turns, classes]."""
        logits: Tensor = self.head(self.temporal(utterances, turn_mask, speaker_change))
        return logits

    def classify_sentiment(
        self, utterances: Tensor, turn_mask: Tensor, speaker_change: Tensor
    ) -> Tensor | None:
        """Logits [batch, turns, 3] in the order of `SENTIMENTS`; None without that head.

        Arguments are those of `classify`.
        """
        if self.sentiment_head is None:
            return None
        logits: Tensor = self.sentiment_head(self.temporal(utterances, turn_mask, speaker_change))
        return logits
