"""Cross-validation of the branch of sound on speakers and corpora that it was not trained on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from accelerate.utils import set_seed
from torch import Tensor

from avt_memocmt.data.corpora import SpeechClip
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.models.checkpoint import token_shapes
from avt_memocmt.models.predict import predict_dialogues
from avt_memocmt.recipe.novelty_fit import fit_novelty
from avt_memocmt.recipe.settings import Job
from avt_memocmt.recipe.sources import Speech, speaker_of
from avt_memocmt.recipe.unimodal import Branch, speech_statistics, train_speech_branch

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LeftOut:
    """The clips that one training left out, and its predictions for them.

    Attributes:
        kind: whether some speakers of every corpus were left out, or a whole corpus.
        clips: those that were left out.
        logits: [clips, 7].
        novelty: [clips], how far each is from the clips of that training.
    """

    kind: Literal["speakers", "corpus"]
    clips: list[SpeechClip]
    logits: Tensor
    novelty: Tensor


@dataclass(frozen=True)
class Fold:
    """One training: a name for its folder, and which clips are left out of it."""

    name: str
    kind: Literal["speakers", "corpus"]
    leaves_out: Callable[[SpeechClip], bool]


def cross_validate(job: Job, train: Speech, validation: Speech) -> list[LeftOut]:
    """Train the branch of sound without each fold in turn, and classify what was left out."""
    found = []
    for fold in folds(train.clips, job.recipe.branches.audio.folds):
        _log.info("training the branch of sound without %s", fold.name)
        found.append(evaluate_fold(job, train, validation, fold))
    return found


def folds(clips: Sequence[SpeechClip], count: int) -> list[Fold]:
    """A part of the speakers of each corpus at a time; then one corpus, where there are several.

    Args:
        clips: all that can be trained on.
        count: of the parts; each speaker is left out in one of them.
    """
    corpora = sorted({clip.corpus for clip in clips})
    number_of: dict[str, int] = {}
    for corpus in corpora:
        speakers = sorted({speaker_of(clip) for clip in clips if clip.corpus == corpus})
        number_of |= {speaker: place % count for place, speaker in enumerate(speakers)}

    def some_speakers(number: int) -> Fold:
        name = f"speakers_{number}"
        return Fold(name, "speakers", lambda clip: number_of.get(speaker_of(clip)) == number)

    def whole_corpus(name: str) -> Fold:
        return Fold(name, "corpus", lambda clip: clip.corpus == name)

    found = [some_speakers(number) for number in sorted(set(number_of.values()))]
    return found + [whole_corpus(name) for name in corpora if len(corpora) > 1]


def evaluate_fold(job: Job, train: Speech, validation: Speech, fold: Fold) -> LeftOut:
    """Train the branch of sound without some clips, and classify those.

    Args:
        job: its work folder receives the log and the resumable state, in `without_*`.
        train: clips to learn from.
        validation: clips that choose the epoch, without those that are left out.
        fold: the clips that are left out.
    """
    set_seed(job.seed)
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
    layers = speech_statistics(model)
    known = fit_novelty(layers, train, kept.tolist(), job.recipe.novelty)
    heard = torch.stack([part.statistics[0, row] for part, row in held])
    return LeftOut(
        fold.kind,
        [part.clips[row] for part, row in held],
        predict_dialogues(branch, dialogues, branch.dims).logits,
        known(layers.standardised(heard)),
    )
