"""Each modality's branch before fusion: projection, pooling and auxiliary head learn alone.

They are small: each can pass over all samples many times in the time that the whole network needs
for one pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from avt_memocmt.data.dialogue_batch import DialogueBatch
from avt_memocmt.data.labelled_dialogues import LabelledDialogue, random_batches
from avt_memocmt.data.speaker_baselines import token_statistics
from avt_memocmt.metrics.scores import scores
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.models.heads import LayerStatistics, SpeakerBaseline
from avt_memocmt.models.prediction import DialogueNetwork, Prediction
from avt_memocmt.recipe.settings import Job, SpeechBranchConfig
from avt_memocmt.recipe.sources import MOST_OTHERS, Sources, Speech, random_counts
from avt_memocmt.training.dialogues import fit_dialogues
from avt_memocmt.training.trainer import Trainer

_HEARING = ("layer_statistics", "unimodal_heads", "baselines", "novelty")
"""The parts of a network that decide on sound alone."""


@dataclass(frozen=True)
class Hearing:
    """The parts of a network that decide on sound alone, from one training.

    Attributes:
        parts: by the name of the network's dictionary of modules that they belong to.
    """

    parts: dict[str, nn.Module]

    @classmethod
    def of(cls, model: AvtMemoCmt) -> Hearing:
        """Those of a network."""
        return cls({name: getattr(model, name)["audio"] for name in _HEARING})

    @contextmanager
    def lent_to(self, model: AvtMemoCmt) -> Iterator[None]:
        """Let a network hear with these parts meanwhile."""
        own = Hearing.of(model)
        self._put_into(model)
        try:
            yield
        finally:
            own._put_into(model)

    def _put_into(self, model: AvtMemoCmt) -> None:
        for name, part in self.parts.items():
            getattr(model, name)["audio"] = part


class Branch(DialogueNetwork):
    """The parts of a network that one modality passes on the way to its own decision.

    Args:
        model: whose parts these are; they are trained in place.
        modality: one whose encoder gives one hidden layer.
    """

    def __init__(self, model: AvtMemoCmt, modality: str) -> None:
        super().__init__()
        self.modalities = (modality,)
        self.dims = {modality: model.widths[modality]}
        self.baseline = dict(model.baselines.items()).get(modality)
        self.project = model.projections[modality]
        self.pool = model.unimodal_pools[modality]
        self.head = model.unimodal_heads[modality]

    def forward(self, batch: DialogueBatch) -> Prediction:
        """Classify every turn by this modality alone."""
        part = batch.modalities[self.modalities[0]].flatten_turns()
        if self.baseline is not None:
            part = self.baseline(part)
        pooled = self.pool(*self.project(part.values, part.spans, part.mask))
        return Prediction(self.head(pooled).unflatten(0, batch.turn_mask.shape))


class SpeechBranch(nn.Module):
    """The same of sound, from statistics that are computed once.

    Args:
        hearing: parts of a network, which are trained in place.
    """

    def __init__(self, hearing: Hearing) -> None:
        super().__init__()
        self.layers = cast(LayerStatistics, hearing.parts["layer_statistics"])
        self.baseline = cast(SpeakerBaseline, hearing.parts["baselines"])
        self.head = hearing.parts["unimodal_heads"]

    def standard(self, statistics: Tensor, baselines: tuple[Tensor, Tensor]) -> Tensor:
        """Standardised statistics against baselines, as `AvtMemoCmt` computes them of tokens.

        Args:
            statistics: [n, 2 * width].
            baselines: from `Speech.baselines`.
        """
        own, count = baselines
        return self.layers.standardised(statistics - self.baseline.own(own, count))

    def forward(self, standard: Tensor) -> Tensor:
        """[n, 2 * width] -> logits [n, 7]."""
        logits: Tensor = self.head(self.layers(standard))
        return logits


class SpeechRows(NamedTuple):
    """Some clips of a part."""

    speech: Speech
    rows: NDArray[np.int64]

    @property
    def emotions(self) -> NDArray[np.int64]:
        """int64 [rows], indices into `EMOTIONS`."""
        return np.array([self.speech.clips[row].emotion for row in self.rows], dtype=np.int64)

    def standard(
        self,
        branch: SpeechBranch,
        counts: NDArray[np.int64],
        generator: np.random.Generator,
        variant: int = 0,
    ) -> Tensor:
        """Standardised statistics of a variant against so many other clips of each speaker."""
        baselines = self.speech.baselines(variant, self.rows, counts, generator)
        return branch.standard(self.speech.statistics[variant, list(self.rows)], baselines)


def train_branches(
    job: Job,
    model: AvtMemoCmt,
    train: Sources,
    validation: Mapping[str, Sequence[LabelledDialogue]],
    validation_speech: Speech,
) -> None:
    """Train the three branches of a network in place.

    Args:
        job: its work folder receives a folder for each.
        model: whose branches are trained.
        train: what they learn from.
        validation: by modality, what chooses the epoch of faces and words.
        validation_speech: chooses that of sound.
    """
    settings = job.recipe.branches
    train_speech_branch(
        job, model, all_rows(train.speech), all_rows(validation_speech), job.work / "audio_branch"
    )
    set_face_baseline(model, train)

    def batches(modality: str, size: int, epoch: int) -> Iterator[list[LabelledDialogue]]:
        generator, drawn = np.random.default_rng((job.seed, epoch)), train.dialogues
        if modality == "visual":
            drawn = train.faces.draw(settings.visual.pictures, generator)
        return random_batches(drawn, size, generator)

    for modality, stage, count, criterion in (
        ("visual", settings.visual, settings.visual.pictures, "accuracy"),
        ("text", settings.text, len(train.dialogues), "weighted_f1"),
    ):
        branch = Branch(model, modality)
        fit_dialogues(
            branch,
            job.work / f"{modality}_branch",
            stage,
            stage.steps(count),
            partial(batches, modality, stage.batch),
            validation[modality],
            branch.dims,
            criterion,
        )


def all_rows(speech: Speech) -> SpeechRows:
    """Every clip of a part."""
    return SpeechRows(speech, np.arange(len(speech.clips)))


def set_face_baseline(model: AvtMemoCmt, train: Sources) -> None:
    """Set the mean of all faces, from which those of one person differ."""
    faces = [face.turns[0].tokens["visual"] for face in train.faces.variants[0]]
    statistics = np.stack([token_statistics(tokens) for tokens in faces])
    cast(SpeakerBaseline, model.baselines["visual"]).set_everyone(torch.from_numpy(statistics))


def train_speech_branch(
    job: Job, model: AvtMemoCmt, train: SpeechRows, validation: SpeechRows, folder: Path
) -> None:
    """Train the branch of sound of a network in place, for as many epochs as the recipe says.

    The last is kept: corpora left out in turn do not tell the epochs apart after the first few, and
    the few speakers of the validation part choose by chance.

    Args:
        job: how.
        model: whose branch is trained.
        train: clips that it learns from.
        validation: clips whose scores are logged.
        folder: receives the log and the resumable state.
    """
    settings = job.recipe.branches.audio
    branch = SpeechBranch(Hearing.of(model))
    set_speech_statistics(branch, train)
    generator = np.random.default_rng(0)
    judged = {
        name: validation.standard(branch, np.full(len(validation.rows), count), generator)
        for name, count in (("alone", 0), ("against_others", MOST_OTHERS))
    }

    def loss(network: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        standard, emotions = batch
        smoothing = settings.label_smoothing
        return F.cross_entropy(network(standard), emotions, label_smoothing=smoothing)

    def evaluate(network: nn.Module) -> dict[str, float]:
        return {
            name: scores(validation.emotions, network(standard).argmax(dim=1))["uar"]
            for name, standard in judged.items()
        }

    steps = settings.steps(len(train.rows))
    trainer = Trainer(branch, folder, settings, steps)
    trainer.run(
        partial(_speech_batches, branch, train, settings, steps, job.seed),
        loss,
        evaluate,
        criterion=None,
    )


def _speech_batches(
    branch: SpeechBranch,
    train: SpeechRows,
    settings: SpeechBranchConfig,
    steps: int,
    seed: int,
    epoch: int,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Random variants of random clips, those of rarer emotions and smaller corpora more often."""
    generator = np.random.default_rng((seed, epoch))
    clips = [train.speech.clips[row] for row in train.rows]
    kinds = [(clip.corpus, clip.emotion) for clip in clips]
    rarity = np.array([kinds.count(kind) for kind in kinds], dtype=np.float64) ** -settings.balance
    for _ in range(steps):
        rows = generator.choice(train.rows, settings.batch, p=rarity / rarity.sum())
        drawn = SpeechRows(train.speech, rows)
        counts = random_counts(settings.batch, MOST_OTHERS, generator)
        variant = int(generator.integers(len(train.speech.variants)))
        with torch.no_grad():
            standard = drawn.standard(branch, counts, generator, variant)
        yield standard, torch.from_numpy(drawn.emotions)


def set_speech_statistics(branch: SpeechBranch, train: SpeechRows) -> None:
    """Standardise the statistics of sound by those of the clips that are trained on."""
    table = train.speech.statistics[:, list(train.rows)].flatten(0, 1)
    branch.layers.set_statistics(table.mean(dim=0), table.std(dim=0) + 1e-3)
    branch.baseline.set_everyone(table)
