"""Each modality's branch before fusion: projection, pooling and auxiliary head learn alone.

They are small: on their own they see every sample many times in the time that the whole network
needs for one pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from avt_memocmt.config import TrainingConfig
from avt_memocmt.data.corpora import SpeechClip
from avt_memocmt.data.dialogue_batch import ModalityBatch, TurnFeatures, collate
from avt_memocmt.features.base import Tokens
from avt_memocmt.metrics.scores import scores
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.models.heads import LayerStatistics
from avt_memocmt.recipe.examples import (
    Example,
    SpeechPart,
    face_example,
    speech_example,
    text_example,
)
from avt_memocmt.recipe.synthetic_pairs import Sources
from avt_memocmt.training.trainer import Trainer, similar_length_batches

CLIP_LEARNING_RATE, FACE_LEARNING_RATE, DIALOGUE_LEARNING_RATE = 3e-4, 1e-3, 1e-3
WEIGHT_DECAY = 0.05
WEIGHT_AVERAGE = 0.99
LABEL_SMOOTHING = 0.05
CLIP_EPOCHS, FACE_EPOCHS, DIALOGUE_EPOCHS = 20, 6, 4
BATCH_CLIPS, BATCH_FACES, BATCH_DIALOGUES = 64, 256, 8
EXCHANGED = 0.5
"""Share of the training clips that are moved from their speaker's mean towards another's: what
tells speakers, rooms and corpora apart then tells little of the emotion."""


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
        self.width = model.widths[modality]
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

    def turns(self, examples: Sequence[Example]) -> ModalityBatch:
        """The turns of some examples, which all have the modality, as what `forward` reads."""
        batch = collate([e.turns for e in examples], {self.modality: self.width})
        real = batch.turn_mask.flatten().nonzero().squeeze(1)
        return batch.modalities[self.modality].flatten_turns().rows(real)

    @torch.no_grad()
    def logits(self, examples: Sequence[Example]) -> Tensor:
        """What it says of each of their turns, [turns, 7]."""
        found = [
            self(self.turns(examples[first : first + 64])) for first in range(0, len(examples), 64)
        ]
        return torch.cat(found)

    def judge(self, examples: Sequence[Example]) -> list[int]:
        """The likeliest emotion of each of their turns."""
        guesses: list[int] = self.logits(examples).argmax(1).tolist()
        return guesses

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
        TrainingConfig(
            epochs=plan.epochs,
            patience=plan.epochs,
            learning_rate=plan.learning_rate,
            weight_decay=WEIGHT_DECAY,
            weight_average=WEIGHT_AVERAGE,
        ),
        plan.steps,
    )

    def loss(network: nn.Module, examples: list[Example]) -> Tensor:
        truth = torch.from_numpy(np.concatenate([e.unimodal_logits[name] for e in examples]))
        logits = network(branch.turns(examples))
        return F.cross_entropy(logits, truth, label_smoothing=LABEL_SMOOTHING)

    def evaluate(judged: nn.Module) -> dict[str, float]:
        truth = np.concatenate([e.labels.argmax(axis=1) for e in plan.select])
        return scores(truth.tolist(), cast(Branch, judged).judge(plan.select))

    return trainer.run(plan.batches, loss, evaluate, plan.criterion)


def set_layer_statistics(model: AvtMemoCmt, speech: SpeechPart, rows: Iterable[int]) -> None:
    """Standardise the statistics of sound by those of the clips that are trained on, `rows`."""
    table = speech.statistics[:, list(rows)].flatten(0, 1)
    layers = model.layer_statistics["audio"]
    assert isinstance(layers, LayerStatistics)
    layers.set_statistics(table.mean(dim=0), table.std(dim=0) + 1e-3)


def speaker_of(clip: SpeechClip) -> str:
    """Who speaks, by a name that no other corpus uses."""
    return f"{clip.corpus}/{clip.speaker}"


def speaker_means(speech: SpeechPart, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
    """Each speaker's mean token over the plain clips `rows`, where every emotion counts alike."""
    found: dict[str, dict[int, list[NDArray[np.float32]]]] = {}
    for row in rows:
        clip = speech.clips[row]
        mean = speech.variants[0].tokens(row).values.mean(axis=0)
        found.setdefault(speaker_of(clip), {}).setdefault(clip.emotion, []).append(mean)
    return {
        speaker: np.mean([np.mean(clips, axis=0) for clips in by_emotion.values()], axis=0)
        for speaker, by_emotion in found.items()
    }


def speech_plan(
    speech: SpeechPart, rows: NDArray[np.int64], select: list[Example], seed: int = 0
) -> BranchPlan:
    """How the branch of sound is warmed up.

    Args:
        speech: the clips of the part that is trained on.
        rows: int64, those of them that it learns from.
        select: examples of sound that choose the epoch.
        seed: of what is drawn.
    """

    means = speaker_means(speech, rows)
    names = sorted(means)

    def exchanged(example: Example, speaker: str, generator: np.random.Generator) -> Example:
        other = means[names[int(generator.integers(len(names)))]]
        shift = generator.uniform() * (other - means[speaker])
        sound = example.turns[0].tokens["audio"]
        turn = TurnFeatures({"audio": Tokens(sound.values + shift, sound.spans)})
        return replace(example, turns=(turn,))

    def batches(epoch: int) -> Iterator[list[Example]]:
        generator = _draw(seed, epoch)
        lengths = np.diff(speech.variants[0].offsets)[rows]
        for part in similar_length_batches(lengths, BATCH_CLIPS, generator, (0.7, 1.4)):
            examples = []
            for row in rows[part].tolist():
                variant = int(generator.integers(len(speech.variants)))
                example = speech_example(speech, row, variant, False, generator.random())
                if generator.random() < EXCHANGED:
                    example = exchanged(example, speaker_of(speech.clips[row]), generator)
                examples.append(example)
            yield examples

    steps = _steps(len(rows), BATCH_CLIPS)
    return BranchPlan("audio", CLIP_EPOCHS, CLIP_LEARNING_RATE, steps, batches, select, "uar")


def branch_plans(
    train: Sources, select: dict[str, list[Example]], seed: int = 0
) -> list[BranchPlan]:
    """How the three branches are warmed up.

    Args:
        train: what they learn from.
        select: the select examples of each modality.
        seed: of what is drawn.
    """
    dialogues, faces = len(train.text.dialogues), len(train.faces.votes)

    def pictures(epoch: int) -> Iterator[list[Example]]:
        generator = _draw(seed, epoch)
        chances = train.face_chances()
        for rows in _batches(generator.choice(faces, faces, p=chances), BATCH_FACES):
            variants = generator.integers(len(train.faces.variants), size=len(rows))
            yield [
                face_example(train.faces, *at) for at in zip(rows, variants.tolist(), strict=True)
            ]

    def words(epoch: int) -> Iterator[list[Example]]:
        order = _draw(seed, epoch).permutation(dialogues)
        for rows in _batches(order, BATCH_DIALOGUES):
            yield [text_example(train.text, row, soft_targets=True) for row in rows]

    return [
        speech_plan(train.speech, np.arange(len(train.speech.clips)), select["audio"], seed),
        BranchPlan(
            "visual",
            FACE_EPOCHS,
            FACE_LEARNING_RATE,
            _steps(faces, BATCH_FACES),
            pictures,
            select["visual"],
            "accuracy",
        ),
        BranchPlan(
            "text",
            DIALOGUE_EPOCHS,
            DIALOGUE_LEARNING_RATE,
            _steps(dialogues, BATCH_DIALOGUES),
            words,
            select["text"],
            "weighted_f1",
        ),
    ]


def _draw(seed: int, epoch: int) -> np.random.Generator:
    return np.random.default_rng((seed, epoch))


def _steps(count: int, batch: int) -> int:
    return -(-count // batch)


def _batches(order: NDArray[np.int64], size: int) -> Iterator[list[int]]:
    for first in range(0, len(order), size):
        yield order[first : first + size].tolist()
