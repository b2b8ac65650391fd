"""Each modality's branch before fusion: projection, pooling and auxiliary head learn alone.

They are small: each can pass over all samples many times in the time that the whole network needs
for one pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from torch import nn

from avt_memocmt.data.dialogue_batch import DialogueBatch
from avt_memocmt.data.labelled_dialogues import LabelledDialogue, random_batches
from avt_memocmt.features.base import Tokens
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.models.heads import LayerStatistics
from avt_memocmt.models.prediction import DialogueNetwork, Prediction
from avt_memocmt.recipe.settings import Job, SpeechBranchConfig
from avt_memocmt.recipe.sources import Sources, Speech, speaker_of
from avt_memocmt.recipe.stored_tokens import with_tokens
from avt_memocmt.training.dialogues import fit_dialogues

Batches = Callable[[int], Iterable[list[LabelledDialogue]]]
"""Epoch number -> its batches."""


class Branch(DialogueNetwork):
    """The parts of a network that one modality passes on the way to its own decision.

    Args:
        model: whose parts these are; they are trained in place.
        modality: its name.
    """

    def __init__(self, model: AvtMemoCmt, modality: str) -> None:
        super().__init__()
        self.modalities = (modality,)
        self.dims = {modality: model.widths[modality]}
        self.parts = nn.ModuleDict({"head": model.unimodal_heads[modality]})
        if modality in model.layer_statistics:
            self.parts["statistics"] = model.layer_statistics[modality]
        else:
            self.parts["project"] = model.projections[modality]
            self.parts["pool"] = model.unimodal_pools[modality]

    def forward(self, batch: DialogueBatch) -> Prediction:
        """Classify every turn by this modality alone."""
        part = batch.modalities[self.modalities[0]].flatten_turns()
        if "statistics" in self.parts:
            pooled = self.parts["statistics"](part.values, part.mask)
        else:
            tokens = self.parts["project"](part.values, part.spans, part.mask)
            pooled = self.parts["pool"](*tokens)
        return Prediction(self.parts["head"](pooled).unflatten(0, batch.turn_mask.shape))


def train_branches(
    job: Job,
    model: AvtMemoCmt,
    train: Sources,
    validation: Mapping[str, Sequence[LabelledDialogue]],
) -> None:
    """Train the three branches of a network in place.

    Args:
        job: its work folder receives a folder for each.
        model: whose branches are trained.
        train: what they learn from.
        validation: by modality, what chooses the epoch.
    """
    settings = job.recipe.branches
    rows, folder = np.arange(len(train.speech.clips)), job.work / "audio_branch"
    train_speech_branch(job, model, train.speech, rows, validation["audio"], folder)

    def batches(modality: str, size: int, epoch: int) -> Iterator[list[LabelledDialogue]]:
        generator, drawn = np.random.default_rng((job.seed, epoch)), train.dialogues
        if modality == "visual":
            balance = job.recipe.pairs.face_balance
            drawn = train.draw_faces(len(train.faces[0]), balance, generator)
        return random_batches(drawn, size, generator)

    for modality, stage, count, criterion in (
        ("visual", settings.visual, len(train.faces[0]), "accuracy"),
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


def train_speech_branch(
    job: Job,
    model: AvtMemoCmt,
    speech: Speech,
    rows: NDArray[np.int64],
    validation: Sequence[LabelledDialogue],
    folder: Path,
) -> None:
    """Train the branch of sound of a network in place.

    Args:
        job: how.
        model: whose branch is trained.
        speech: clips of the train part.
        rows: int64, those of them that it learns from.
        validation: clips that choose the epoch, by UAR.
        folder: receives the log and the resumable state.
    """
    settings = job.recipe.branches.audio
    set_layer_statistics(model, speech, rows)
    batches = speech_batches(speech, rows, settings, job.seed)
    branch, steps = Branch(model, "audio"), settings.steps(len(rows))
    fit_dialogues(branch, folder, settings, steps, batches, validation, branch.dims, "uar")


def speech_batches(
    speech: Speech, rows: NDArray[np.int64], settings: SpeechBranchConfig, seed: int
) -> Batches:
    """Random variants of the clips `rows`, some of them moved towards another speaker's mean."""
    means = speaker_means(speech, rows)
    names = sorted(means)

    def drawn(row: int, generator: np.random.Generator) -> LabelledDialogue:
        clip = speech.draw(row, generator)
        if generator.random() >= settings.exchanged:
            return clip
        other = means[names[int(generator.integers(len(names)))]]
        shift = generator.uniform() * (other - means[speaker_of(speech.clips[row])])
        sound = clip.turns[0].tokens["audio"]
        return with_tokens(clip, "audio", Tokens(sound.values + shift, sound.spans))

    def batches(epoch: int) -> Iterator[list[LabelledDialogue]]:
        generator = np.random.default_rng((seed, epoch))
        # Moved clips are copies, so only a batch of them is held at a time.
        plain = [speech.variants[0][row].only(("audio",)) for row in rows]
        for part in random_batches(plain, settings.batch, generator):
            yield [drawn(clip.keys[0].dialogue_id, generator) for clip in part]

    return batches


def set_layer_statistics(model: AvtMemoCmt, speech: Speech, rows: NDArray[np.int64]) -> None:
    """Standardise the statistics of sound by those of the clips that are trained on, `rows`."""
    table = speech.statistics[:, list(rows)].flatten(0, 1)
    speech_statistics(model).set_statistics(table.mean(dim=0), table.std(dim=0) + 1e-3)


def speech_statistics(model: AvtMemoCmt) -> LayerStatistics:
    """The part of a network that standardises the statistics of sound."""
    return cast(LayerStatistics, model.layer_statistics["audio"])


def speaker_means(speech: Speech, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
    """Each speaker's mean token over the plain clips `rows`, where every emotion counts alike."""
    found: dict[str, dict[int, list[NDArray[np.float32]]]] = {}
    for row in rows:
        clip = speech.clips[row]
        values = speech.variants[0][row].turns[0].tokens["audio"].values
        mean = values.mean(axis=0, dtype=np.float32)
        found.setdefault(speaker_of(clip), {}).setdefault(clip.emotion, []).append(mean)
    return {
        speaker: np.mean([np.mean(clips, axis=0) for clips in by_emotion.values()], axis=0)
        for speaker, by_emotion in found.items()
    }
