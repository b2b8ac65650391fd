"""The branch of sound on speech that it was not trained on: new speakers, and new corpora."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from avt_memocmt.data.corpora import SpeechClip
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.models.checkpoint import token_shapes
from avt_memocmt.models.heads import LayerStatistics
from avt_memocmt.models.predict import predict_dialogues
from avt_memocmt.recipe.novelty_fit import fit_novelty
from avt_memocmt.recipe.settings import Job
from avt_memocmt.recipe.sources import Speech, speaker_of
from avt_memocmt.recipe.unimodal import Branch, train_speech_branch
from avt_memocmt.training.trainer import seed_everything


@dataclass(frozen=True)
class LeftOut:
    """What one training left out, and its predictions of that.

    Attributes:
        kind: whether some speakers of every corpus were left out, or a whole corpus.
        clips: those that were left out.
        logits: [clips, 7].
        novelty: [clips], of each against what was trained on.
    """

    kind: Literal["speakers", "corpus"]
    clips: list[SpeechClip]
    logits: Tensor
    novelty: Tensor


@dataclass(frozen=True)
class Fold:
    """One training to come: a name for its folder, and the clips that it goes without."""

    name: str
    kind: Literal["speakers", "corpus"]
    leaves_out: Callable[[SpeechClip], bool]


def folds(clips: Sequence[SpeechClip], count: int) -> list[Fold]:
    """A part of the speakers of each corpus at a time; then one corpus, where there are several.

    Args:
        clips: all that can be trained on.
        count: of the parts; each speaker is left out in one of them.
    """
    fold_of = fold_of_speakers(clips, count)
    corpora = sorted({clip.corpus for clip in clips})

    def speakers(fold: int) -> Fold:
        return Fold(
            f"speakers_{fold}", "speakers", lambda clip: fold_of.get(speaker_of(clip)) == fold
        )

    def corpus(name: str) -> Fold:
        return Fold(name, "corpus", lambda clip: clip.corpus == name)

    return [
        *map(speakers, sorted(set(fold_of.values()))),
        *(map(corpus, corpora) if len(corpora) > 1 else ()),
    ]


def fold_of_speakers(clips: Sequence[SpeechClip], count: int) -> dict[str, int]:
    """A number below `count` for each speaker, in turn within a corpus."""
    speakers = sorted({(clip.corpus, speaker_of(clip)) for clip in clips})
    corpora = [corpus for corpus, _ in speakers]
    return {
        speaker: (place - corpora.index(corpus)) % count
        for place, (corpus, speaker) in enumerate(speakers)
    }


def evaluate_fold(job: Job, train: Speech, validation: Speech, fold: Fold) -> LeftOut:
    """Train the branch of sound without some clips, and classify those.

    Args:
        job: its work folder receives the log and the resumable state, in `without_*`.
        train: what it learns from.
        validation: what chooses the epoch; clips that are left out do not.
        fold: the clips that are left out.
    """
    seed_everything(job.seed)
    model = AvtMemoCmt(token_shapes(job.config), job.config.model)
    kept = np.array([r for r, clip in enumerate(train.clips) if not fold.leaves_out(clip)])
    choosing = [
        dialogue.only(("audio",))
        for dialogue, clip in zip(validation.variants[0], validation.clips, strict=True)
        if not fold.leaves_out(clip)
    ]
    folder = job.work / f"without_{fold.name}"
    train_speech_branch(job, model, train, kept, choosing, folder)
    held = [
        (part, row)
        for part in (train, validation)
        for row, clip in enumerate(part.clips)
        if fold.leaves_out(clip)
    ]
    branch = Branch(model, "audio").eval()
    dialogues = [part.variants[0][row] for part, row in held]
    layers = model.layer_statistics["audio"]
    assert isinstance(layers, LayerStatistics)
    known = fit_novelty(layers, train, kept.tolist(), job.recipe.novelty)
    heard = torch.stack([part.statistics[0, row] for part, row in held])
    return LeftOut(
        fold.kind,
        [part.clips[row] for part, row in held],
        predict_dialogues(branch, dialogues, branch.dims).logits,
        known(layers.standardised(heard)),
    )
