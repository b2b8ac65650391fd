"""Each modality's branch before fusion: projection, pooling and auxiliary head learn alone.

They are small: on their own they see every sample many times in the time that the whole network
needs for one pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from avt_memocmt.data.dialogue_batch import ModalityBatch, collate
from avt_memocmt.metrics import scores
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.training.fusion_data import Example, face_example, speech_example, text_example
from avt_memocmt.training.loop import Schedule, Trainer
from avt_memocmt.training.synthetic import Sources

LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.05
WEIGHT_AVERAGE = 0.99
LABEL_SMOOTHING = 0.05
CLIP_EPOCHS, FACE_EPOCHS, DIALOGUE_EPOCHS = 12, 6, 4
BATCH_CLIPS, BATCH_FACES, BATCH_DIALOGUES = 32, 256, 8


@dataclass(frozen=True)
class BranchPlan:
    """What one modality's branch is warmed up with.

    Attributes:
        modality: its name.
        epochs: passes over `batches`.
        steps: batches of one epoch.
        batches: epoch number -> examples that all have the modality, in batches.
        select: chooses the epoch.
        criterion: by this score of the select examples.
    """

    modality: str
    epochs: int
    steps: int
    batches: Callable[[int], Iterable[list[Example]]]
    select: list[Example]
    criterion: str


class Branch(nn.Module):
    """The parts of the model that one modality passes on its way to its own opinion."""

    def __init__(self, model: AvtMemoCmt, modality: str) -> None:
        super().__init__()
        self.project = model.projections[modality]
        self.pool = model.opinion_pools[modality]
        self.head = model.opinion_heads[modality]

    def forward(self, part: ModalityBatch) -> Tensor:
        """[batch, tokens, ...] -> logits [batch, 7]."""
        logits: Tensor = self.head(self.pool(*self.project(part.values, part.spans, part.mask)))
        return logits


def warm_up(model: AvtMemoCmt, plan: BranchPlan, folder: Path) -> dict[str, float]:
    """Train one branch of the model in place.

    Args:
        folder: receives the log and the resumable state.

    Returns:
        The select scores of the chosen epoch.
    """
    name = plan.modality
    branch = Branch(model, name)
    trainer = Trainer(
        branch,
        folder,
        Schedule(
            plan.epochs,
            plan.steps,
            LEARNING_RATE,
            WEIGHT_DECAY,
            weight_average=WEIGHT_AVERAGE,
        ),
    )

    def logits_of(branch: nn.Module, examples: Sequence[Example]) -> Tensor:
        batch = collate([e.turns for e in examples], {name: model.widths[name]})
        real = batch.turn_mask.flatten().nonzero().squeeze(1)
        return branch(batch.modalities[name].flatten_turns().rows(real))

    def loss(branch: nn.Module, examples: list[Example]) -> Tensor:
        truth = torch.from_numpy(np.concatenate([e.opinions[name] for e in examples]))
        return F.cross_entropy(logits_of(branch, examples), truth, label_smoothing=LABEL_SMOOTHING)

    def evaluate() -> dict[str, float]:
        guesses: list[int] = []
        for first in range(0, len(plan.select), 64):
            guesses += logits_of(branch, plan.select[first : first + 64]).argmax(1).tolist()
        truth = np.concatenate([e.labels.argmax(axis=1) for e in plan.select])
        return scores(truth.tolist(), guesses)

    return trainer.run(plan.batches, loss, evaluate, plan.criterion)


def branch_plans(
    train: Sources, select: dict[str, list[Example]], seed: int = 0
) -> list[BranchPlan]:
    """How the three branches are warmed up.

    Args:
        train: what they learn from.
        select: the select examples of each modality.
        seed: of what is drawn.
    """
    clips, dialogues = len(train.speech.clips), len(train.text.dialogues)
    faces = len(train.faces.votes)

    def draw(epoch: int) -> np.random.Generator:
        return np.random.default_rng((seed, epoch))

    def sound(epoch: int) -> Iterator[list[Example]]:
        generator = draw(epoch)
        for rows in _batches(generator.permutation(clips), BATCH_CLIPS):
            yield [
                speech_example(
                    train.speech,
                    row,
                    int(generator.integers(len(train.speech.variants))),
                    False,
                    generator.random(),
                )
                for row in rows
            ]

    def pictures(epoch: int) -> Iterator[list[Example]]:
        generator = draw(epoch)
        chances = train.face_chances()
        for rows in _batches(generator.choice(faces, faces, p=chances), BATCH_FACES):
            variants = generator.integers(len(train.faces.variants), size=len(rows))
            yield [
                face_example(train.faces, *at) for at in zip(rows, variants.tolist(), strict=True)
            ]

    def words(epoch: int) -> Iterator[list[Example]]:
        order = draw(epoch).permutation(dialogues)
        for rows in _batches(order, BATCH_DIALOGUES):
            yield [text_example(train.text, row) for row in rows]

    def steps(count: int, batch: int) -> int:
        return -(-count // batch)

    return [
        BranchPlan("audio", CLIP_EPOCHS, steps(clips, BATCH_CLIPS), sound, select["audio"], "uar"),
        BranchPlan(
            "visual",
            FACE_EPOCHS,
            steps(faces, BATCH_FACES),
            pictures,
            select["visual"],
            "accuracy",
        ),
        BranchPlan(
            "text",
            DIALOGUE_EPOCHS,
            steps(dialogues, BATCH_DIALOGUES),
            words,
            select["text"],
            "weighted_f1",
        ),
    ]


def _batches(order: NDArray[np.int64], size: int) -> Iterator[list[int]]:
    for first in range(0, len(order), size):
        yield order[first : first + size].tolist()
