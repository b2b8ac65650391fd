"""MIST: words, speech, face and motion each decide alone, and a weighted mean joins them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avt_memocmt.config import MODALITIES, ModelConfig, TokenShape
from avt_memocmt.data.dialogue_batch import DialogueBatch, ModalityBatch
from avt_memocmt.emotions import NUM_EMOTIONS
from avt_memocmt.models.baselines import raw_tokens
from avt_memocmt.models.heads import among_present, classifier, in_columns
from avt_memocmt.models.prediction import DialogueNetwork, Prediction

MOTION = "motion"
"""The branch of motion; like that of the face it reads the visual tokens."""


class Branch(nn.Module):
    """One of the networks that decide alone: tokens, one vector, logits.

    Here the vector is the mean of the tokens, as for words and face.

    Args:
        modality: whose tokens it reads.
        shape: what they hold.
        config: width and dropout.
        classes: of its decision.
    """

    def __init__(
        self,
        modality: str,
        shape: TokenShape,
        config: ModelConfig,
        classes: int = NUM_EMOTIONS,
    ) -> None:
        super().__init__()
        self.inputs = raw_tokens(modality, shape, config)
        self.head = classifier(config.dim, config.dropout, classes)

    def forward(self, part: ModalityBatch) -> tuple[Tensor, Tensor]:
        """Decide on some turns, `part` with [turns, tokens, ...] tensors.

        Returns:
            Logits [turns, classes], and bool [turns], whether there was anything to decide on;
            elsewhere the logits are those of a learned vector.
        """
        tokens, mask = self.inputs(part.values, part.spans, part.mask)
        vector, present = self.pool(tokens[:, 1:], mask[:, 1:])
        return self.head(torch.where(present[:, None], vector, tokens[:, 0])), present

    def pool(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """[turns, tokens, dim] and bool [turns, tokens] -> vectors [turns, dim], bool [turns]."""
        return masked_mean(tokens, mask), mask.any(dim=1)


class SpeechBranch(Branch):
    """The Semi-CNN: two convolutions along time, each with ReLU and max pooling, and their mean.

    Named measurements have no order in time: of them each is convolved alone, and none are pooled.
    """

    KERNEL, STRIDE = 5, 2

    def __init__(
        self,
        modality: str,
        shape: TokenShape,
        config: ModelConfig,
        classes: int = NUM_EMOTIONS,
    ) -> None:
        super().__init__(modality, shape, config, classes)
        kernel, self.stride = (self.KERNEL, self.STRIDE) if shape.names is None else (1, 1)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(config.dim, config.dim, kernel, padding=kernel // 2) for _ in range(2)
        )

    def pool(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """As `Branch.pool`."""
        present = mask.any(dim=1)
        for convolution in self.convolutions:
            tokens = convolve(convolution, tokens, mask)
            # After ReLU the zeros at masked places are never the maximum of a pair.
            tokens, shown = (
                F.max_pool1d(x.transpose(1, 2), self.stride, ceil_mode=True).transpose(1, 2)
                for x in (tokens, mask[:, :, None].to(tokens.dtype))
            )
            mask = shown[:, :, 0] > 0
        return masked_mean(tokens, mask), present


class MotionBranch(Branch):
    """Motion: a convolution along time over the differences of successive face tokens."""

    KERNEL = 3

    def __init__(
        self,
        modality: str,
        shape: TokenShape,
        config: ModelConfig,
        classes: int = NUM_EMOTIONS,
    ) -> None:
        super().__init__(modality, shape, config, classes)
        self.convolution = nn.Conv1d(config.dim, config.dim, self.KERNEL, padding=self.KERNEL // 2)

    def pool(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """As `Branch.pool`; a turn with a single face has no motion."""
        # The last difference is of the last token to itself, so that there always is one.
        ahead = torch.cat([tokens[:, 1:], tokens[:, -1:]], dim=1)
        both = torch.cat([mask[:, 1:], torch.zeros_like(mask[:, :1])], dim=1) & mask
        moved = convolve(self.convolution, ahead - tokens, both)
        return masked_mean(moved, both), both.any(dim=1)


class Mist(DialogueNetwork):
    """MIST (Boitel et al. 2025, Expert Systems with Applications 270:126236) on stored tokens.

    Four networks decide alone: on the words (DeBERTa), on speech (Semi-CNN), on the face
    (ResNet-50) and on motion (3D-CNN). A weighted mean of their probabilities is the decision.
    Only the paper's abstract and what others write of it were at hand, so all sizes are ours.

    Where it departs from the paper: the encoders are those of the stored tokens, of which words and
    face are averaged and classified; the Semi-CNN reads the audio tokens in place of a spectrogram
    and is trained on labels alone; motion is a convolution over differences of face tokens in place
    of a 3D-CNN over pictures, and is left out where the face was measured once a turn (named
    measurements); absent modalities and padding are masked. As there, no network learns from the
    joint decision, but here all are trained in one run, each on its own loss
    (`training.auxiliary_weight`), and the joint loss trains the weights of the mean alone.

    Args:
        shapes: what the tokens of each modality hold, by the names in `config.modalities`.
        config: modalities, width and dropout.
        classes: how many there are to tell apart.
    """

    def __init__(
        self, shapes: dict[str, TokenShape], config: ModelConfig, classes: int = NUM_EMOTIONS
    ) -> None:
        super().__init__()
        self.modalities = tuple(m for m in MODALITIES if m in config.modalities)
        kinds = {"audio": SpeechBranch, "visual": Branch, "text": Branch}
        branches = {m: kinds[m](m, shapes[m], config, classes) for m in self.modalities}
        if "visual" in self.modalities and shapes["visual"].names is None:
            branches[MOTION] = MotionBranch("visual", shapes["visual"], config, classes)
        self.branches = nn.ModuleDict(branches)
        self.scores = nn.Parameter(torch.zeros(len(branches)))

    def forward(self, batch: DialogueBatch) -> Prediction:
        """Classify every turn; the logits are logarithms of the averaged probabilities."""
        parts = {m: batch.modalities[m].flatten_turns() for m in self.modalities}
        found = [branch(parts[_modality(name)]) for name, branch in self.branches.items()]
        decisions = torch.stack([logits.log_softmax(dim=1) for logits, _ in found], dim=1)
        present = torch.stack([there for _, there in found], dim=1)
        scores = among_present(self.scores.expand(len(present), -1), present)
        shares = scores.softmax(dim=1) * present
        shape = (*batch.turn_mask.shape, -1)
        unimodal_logits, weights = {}, []
        for m in self.modalities:
            own = [i for i, name in enumerate(self.branches) if _modality(name) == m]
            unimodal_logits[m] = weighted_mean(scores[:, own], decisions[:, own]).view(shape)
            weights.append(shares[:, own].sum(dim=1))
        logits = weighted_mean(scores, decisions.detach()).view(shape)
        columns = in_columns(torch.stack(weights, dim=1), self.modalities)
        return Prediction(logits, columns.view(shape), unimodal_logits)


def weighted_mean(scores: Tensor, decisions: Tensor) -> Tensor:
    """Logarithm of a weighted mean of probabilities.

    Args:
        scores: [turns, branches]; their softmax is the weights.
        decisions: [turns, branches, classes], log probabilities.

    Returns:
        [turns, classes].
    """
    return (scores.log_softmax(dim=1)[:, :, None] + decisions).logsumexp(dim=1)


def masked_mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """[batch, tokens, dim], bool [batch, tokens] -> [batch, dim]; 0 in rows without tokens."""
    kept = torch.where(mask[:, :, None], tokens, torch.zeros_like(tokens))
    return kept.sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp(min=1)


def convolve(convolution: nn.Module, tokens: Tensor, mask: Tensor) -> Tensor:
    """Convolution along time and ReLU, with zeros in and out of places where `mask` is False.

    Args:
        convolution: over [batch, dim, tokens].
        tokens: [batch, tokens, dim].
        mask: bool [batch, tokens].
    """
    zeros = torch.zeros_like(tokens)
    heard = convolution(torch.where(mask[:, :, None], tokens, zeros).transpose(1, 2))
    return torch.where(mask[:, :, None], heard.relu().transpose(1, 2), 0.0)


def _modality(branch: str) -> str:
    return "visual" if branch == MOTION else branch
