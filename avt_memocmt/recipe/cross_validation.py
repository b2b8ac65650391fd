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
from avt_memocmt.recipe.novelty_fit import fit_novelty
from avt_memocmt.recipe.settings import Job
from avt_memocmt.recipe.sources import MOST_OTHERS, Speech, random_counts, speaker_of
from avt_memocmt.recipe.unimodal import Hearing, SpeechBranch, SpeechRows, train_speech_branch

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LeftOut:
    """The clips that one training left out, and what it taught.

    Attributes:
        name: of the fold.
        kind: whether some speakers of every corpus were left out, or a whole corpus.
        parts: the clips of the train and of the validation part.
        hearing: parts of the network that was trained without them.
    """

    name: str
    kind: Literal["speakers", "corpus"]
    parts: tuple[SpeechRows, ...]
    hearing: Hearing

    @property
    def clips(self) -> list[SpeechClip]:
        """The clips that were left out."""
        return [part.speech.clips[row] for part in self.parts for row in part.rows]

    @torch.no_grad()
    def judged(self, count: int | None = None) -> tuple[Tensor, Tensor]:
        """Logits [clips, 7] and novelty [clips] of these clips.

        Args:
            count: of other clips of the speaker against which each is judged; None = a random
                number, often none, as in training.
        """
        branch, generator = SpeechBranch(self.hearing).eval(), np.random.default_rng(0)
        standard = torch.cat(
            [
                part.standard(
                    branch,
                    random_counts(len(part.rows), MOST_OTHERS, generator)
                    if count is None
                    else np.full(len(part.rows), count),
                    generator,
                )
                for part in self.parts
            ]
        )
        return branch(standard), self.hearing.parts["novelty"](standard)


@dataclass(frozen=True)
class Fold:
    """One training: a name for its folder, and which clips are left out of it."""

    name: str
    kind: Literal["speakers", "corpus"]
    leaves_out: Callable[[SpeechClip], bool]


def cross_validate(job: Job, train: Speech, validation: Speech) -> list[LeftOut]:
    """Train the branch of sound without each fold in turn."""
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
    """Train the branch of sound without some clips, and fit its novelty.

    Args:
        job: its work folder receives the log and the resumable state, in `without_*`.
        train: clips to learn from.
        validation: clips whose scores are logged, without those that are left out.
        fold: the clips that are left out.
    """
    set_seed(job.seed)
    model = AvtMemoCmt(token_shapes(job.config), job.config.model)
    (kept, left), (logged, also_left) = (
        _divided(part, fold.leaves_out) for part in (train, validation)
    )
    train_speech_branch(job, model, kept, logged, job.work / f"without_{fold.name}")
    branch = SpeechBranch(Hearing.of(model.eval()))
    model.novelty["audio"] = fit_novelty(branch, kept, job.recipe.novelty)
    return LeftOut(fold.name, fold.kind, (left, also_left), Hearing.of(model))


def _divided(
    speech: Speech, leaves_out: Callable[[SpeechClip], bool]
) -> tuple[SpeechRows, SpeechRows]:
    """The clips that a fold keeps, and those that it leaves out."""
    left = np.array([leaves_out(clip) for clip in speech.clips])
    return (
        SpeechRows(speech, np.flatnonzero(~left)),
        SpeechRows(speech, np.flatnonzero(left)),
    )
