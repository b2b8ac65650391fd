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
from avt_memocmt.models.heads import LayerStatistics, statistics
from avt_memocmt.training.fusion_data import Example, face_example, speech_example, text_example
from avt_memocmt.training.loop import Schedule, Trainer
from avt_memocmt.training.synthetic import Sources

CLIP_LEARNING_RATE, FACE_LEARNING_RATE, DIALOGUE_LEARNING_RATE = 3e-4, 1e-3, 1e-3
WEIGHT_DECAY = 0.05
WEIGHT_AVERAGE = 0.99
LABEL_SMOOTHING = 0.05
CLIP_EPOCHS, FACE_EPOCHS, DIALOGUE_EPOCHS = 12, 6, 4
BATCH_CLIPS, BATCH_FACES, BATCH_DIALOGUES = 64, 256, 8


@dataclass(frozen=True)
class BranchPlan:
    """What one modality's branch is warmed up with.

    Attributes:
        modality: its name.
        epochs: passes over `batches`.
        learning_rate: peak.
        steps: batches of one epoch.
        batches: epoch number -> examples that all have the modality, in batches.
        select: chooses the epoch.
        criterion: by this score of the select examples.
    """

    modality: str
    epochs: int
    learning_rate: float
    steps: int
    batches: Callable[[int], Iterable[list[Example]]]
    select: list[Example]
    criterion: str


class Branch(nn.Module):
    """The parts of the model that one modality passes on its way to its own opinion."""

    def __init__(self, model: AvtMemoCmt, modality: str) -> None:
        super().__init__()
        self.modality = modality
        self.parts = nn.ModuleDict({"head": model.opinion_heads[modality]})
        if modality in model.layer_statistics:
            self.parts["statistics"] = model.layer_statistics[modality]
        else:
            self.parts["project"] = model.projections[modality]
            self.parts["pool"] = model.opinion_pools[modality]

    def forward(self, part: ModalityBatch) -> Tensor:
        """[batch, tokens, ...] -> logits [batch, 7]."""
        logits: Tensor = self.parts["head"](self._pooled(part))
        return logits

    def _pooled(self, part: ModalityBatch) -> Tensor:
        if "statistics" in self.parts:
            return self.parts["statistics"](part.values, part.mask)
        return self.parts["pool"](*self.parts["project"](part.values, part.spans, part.mask))


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
            plan.learning_rate,
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


def set_layer_statistics(model: AvtMemoCmt, train: Sources) -> None:
    """Standardise the statistics of sound by those of the clips that are trained on."""
    found = []
    for variant in train.speech.variants:
        for row in range(len(variant)):
            values = torch.from_numpy(variant.tokens(row).values)[None]
            found.append(statistics(values, torch.ones(values.shape[:2], dtype=torch.bool)))
    table = torch.cat(found)
    layers = model.layer_statistics["audio"]
    assert isinstance(layers, LayerStatistics)
    layers.set_statistics(table.mean(dim=0), table.std(dim=0) + 1e-3)


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
        # Clips of similar length together: little is spent on padding.
        lengths = np.diff(train.speech.variants[0].offsets) * generator.uniform(0.7, 1.4, clips)
        batches = list(_batches(np.argsort(lengths), BATCH_CLIPS))
        for rows in (batches[i] for i in generator.permutation(len(batches))):
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
        BranchPlan(
            "audio",
            CLIP_EPOCHS,
            CLIP_LEARNING_RATE,
            steps(clips, BATCH_CLIPS),
            sound,
            select["audio"],
            "uar",
        ),
        BranchPlan(
            "visual",
            FACE_EPOCHS,
            FACE_LEARNING_RATE,
            steps(faces, BATCH_FACES),
            pictures,
            select["visual"],
            "accuracy",
        ),
        BranchPlan(
            "text",
            DIALOGUE_EPOCHS,
            DIALOGUE_LEARNING_RATE,
            steps(dialogues, BATCH_DIALOGUES),
            words,
            select["text"],
            "weighted_f1",
        ),
    ]


def _batches(order: NDArray[np.int64], size: int) -> Iterator[list[int]]:
    for first in range(0, len(order), size):
        yield order[first : first + size].tolist()
