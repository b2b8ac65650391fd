"""D2GNN's parts of an utterance: emotion-aware and emotion-agnostic, and how they are distilled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from avt_memocmt.emotions import NUM_EMOTIONS
from avt_memocmt.models.heads import among_present


@dataclass(frozen=True)
class Decoupled:
    """An utterance vector in two parts.

    Attributes:
        aware: [..., dim], what tells its emotion.
        agnostic: [..., dim], what does not.
        logits: [..., classes], the decision on the aware part alone.
    """

    aware: Tensor
    agnostic: Tensor
    logits: Tensor


class Decoupling(nn.Module):
    """Divide utterance vectors into two parts from which they can be rebuilt.

    Args:
        dim: width of the vectors and of each part.
        dropout: inside the aware part, while training.
        classes: of the decision on it.
    """

    def __init__(self, dim: int, dropout: float, classes: int = NUM_EMOTIONS) -> None:
        super().__init__()
        self.aware = nn.Sequential(
            nn.Linear(dim, dim), nn.ReLU(), nn.Dropout(dropout), nn.Linear(dim, dim)
        )
        self.agnostic = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim))
        self.classify = nn.Linear(dim, classes)
        self.decoder = nn.Sequential(
            nn.Linear(2 * dim, 4 * dim), nn.ReLU(), nn.Linear(4 * dim, dim), nn.LayerNorm(dim)
        )
        self.bottleneck = InformationBottleneck(dim, classes)

    def forward(self, vectors: Tensor) -> Decoupled:
        """Divide vectors [..., dim]."""
        aware = self.aware(vectors)
        return Decoupled(aware, self.agnostic(vectors), self.classify(aware))

    def losses(self, vectors: Tensor, parts: Decoupled, targets: Tensor) -> dict[str, Tensor]:
        """Scalars "reconstruction" and "bottleneck" of some turns, 0 of none.

        Args:
            vectors: [turns, dim].
            parts: what `forward` made of them.
            targets: float [turns, classes], distributions to learn.
        """
        rebuilt = self.decoder(torch.cat([parts.aware, parts.agnostic], dim=1))
        # The bottleneck shapes the agnostic part; let through, it would empty the vectors as well.
        given = vectors.detach()
        return {
            "reconstruction": _mean((rebuilt - vectors).square()),
            "bottleneck": self.bottleneck(given, self.agnostic(given), targets),
        }


class InformationBottleneck(nn.Module):
    """Loss of a part z of x: what z tells of the label y, less KEPT times what it keeps of x.

    I(z;y) has the upper bound vCLUB (Cheng et al. 2020, section 3.2): the mean log q(y|z) of the
    labels minus that of the labels of other turns, where q is a classifier that is fitted to z
    along with it and passes it no gradient. I(x;z) is replaced by the Jensen-Shannon bound of Deep
    InfoMax (Hjelm et al. 2019, equation 4): a critic tells (x, z) from pairs of different turns.

    Args:
        dim: width of x and of z.
        classes: of the label.
    """

    KEPT = 10.0
    """The authors' beta."""

    def __init__(self, dim: int, classes: int = NUM_EMOTIONS) -> None:
        super().__init__()
        self.label = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, classes))
        self.critic = nn.Sequential(nn.Linear(2 * dim, dim), nn.ReLU(), nn.Linear(dim, 1))

    def forward(self, x: Tensor, z: Tensor, targets: Tensor) -> Tensor:
        """Scalar loss of x and z, [turns, dim], with labels `targets`, float [turns, classes]."""
        fitted = {name: weight.detach() for name, weight in self.label.named_parameters()}
        told = label_information(functional_call(self.label, fitted, (z,)), targets)
        fit = _mean(F.cross_entropy(self.label(z.detach()), targets, reduction="none"))
        other = z[torch.randperm(len(z), device=z.device)]
        kept = kept_information(*(self.critic(torch.cat([x, y], dim=1)) for y in (z, other)))
        return told - self.KEPT * kept + fit


def label_information(logits: Tensor, targets: Tensor) -> Tensor:
    """The bound vCLUB of I(z;y), in nats, with every pair of turns.

    Args:
        logits: [turns, classes], those of q(y|z).
        targets: float [turns, classes], distributions of y.
    """
    guess = logits.log_softmax(dim=1)
    others = targets.sum(dim=0) / max(1, len(targets))
    return _mean(((targets - others) * guess).sum(dim=1))


def kept_information(joint: Tensor, apart: Tensor) -> Tensor:
    """The Jensen-Shannon bound, at most 0, from scores [turns, 1] of true and of mixed pairs."""
    return -_mean(F.softplus(-joint)) - _mean(F.softplus(apart))


class Distillation(nn.Module):
    """Add to the joint part those of the modalities, each by how well it goes with the joint one.

    The weight of a modality is the softmax over the modalities of tanh(w [P c; P_m x_m]), with the
    joint part c and the modality's x_m.

    Args:
        modalities: their names.
        dim: width of a part.
    """

    def __init__(self, modalities: Sequence[str], dim: int) -> None:
        super().__init__()
        self.joint = nn.Linear(dim, dim)
        self.own = nn.ModuleDict({m: nn.Linear(dim, dim) for m in modalities})
        self.score = nn.ModuleDict({m: nn.Linear(2 * dim, 1) for m in modalities})

    def forward(self, joint: Tensor, parts: dict[str, Tensor], present: Tensor) -> Tensor:
        """Distil the parts of some turns.

        Args:
            joint: [turns, dim].
            parts: per modality [turns, dim].
            present: bool [turns, modalities], in their order; absent ones have the weight 0.

        Returns:
            [turns, dim].
        """
        seen = self.joint(joint)
        pairs = {m: torch.cat([seen, self.own[m](part)], dim=1) for m, part in parts.items()}
        scores = torch.cat([self.score[m](pair) for m, pair in pairs.items()], dim=1).tanh()
        weights = among_present(scores, present).softmax(dim=1) * present
        return joint + torch.einsum("tm,mtd->td", weights, torch.stack(list(parts.values())))


def prototype_contrast(features: Tensor, prototypes: Tensor, targets: Tensor) -> Tensor:
    """Contrast of each emotion's features with the prototypes of all.

    The features of an emotion are the sum over its turns divided by the number of all turns; their
    products with the prototypes are logits, of which the emotion itself is the label.

    Args:
        features: [turns, width].
        prototypes: [classes, width].
        targets: float [turns, classes].

    Returns:
        The mean cross entropy over the emotions.
    """
    means = targets.T @ features / max(1, len(features))
    return -(means @ prototypes.T).log_softmax(dim=1).diagonal().mean()


def _mean(values: Tensor) -> Tensor:
    """The mean; 0 of nothing."""
    return values.sum() / max(1, values.numel())
