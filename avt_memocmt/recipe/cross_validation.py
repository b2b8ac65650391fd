"""The branch of sound on speech that it was not trained on: new speakers, and new corpora."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from avt_memocmt.config import Config
from avt_memocmt.data.corpora import SpeechClip
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.models.checkpoint import token_shapes
from avt_memocmt.models.heads import LayerStatistics
from avt_memocmt.recipe.examples import SpeechPart, speech_example
from avt_memocmt.recipe.novelty_fit import fit_novelty
from avt_memocmt.recipe.unimodal import (
    Branch,
    set_layer_statistics,
    speaker_of,
    speech_plan,
    warm_up,
)
from avt_memocmt.training.trainer import seed_everything

FOLDS = 5
"""Each speaker of the train part is left out in one of them."""


@dataclass(frozen=True)
class LeftOut:
    """What one training left out, and what it then said of that.

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


def folds(clips: Sequence[SpeechClip]) -> list[Fold]:
    """A part of the speakers of each corpus at a time; then one corpus, where there are several.

    Args:
        clips: all that can be trained on.
    """
    fold_of = fold_of_speakers(clips)
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


def fold_of_speakers(clips: Sequence[SpeechClip]) -> dict[str, int]:
    """A number below `FOLDS` for each speaker, in turn within a corpus."""
    speakers = sorted({(clip.corpus, speaker_of(clip)) for clip in clips})
    corpora = [corpus for corpus, _ in speakers]
    return {
        speaker: (place - corpora.index(corpus)) % FOLDS
        for place, (corpus, speaker) in enumerate(speakers)
    }


def evaluate_fold(
    train: SpeechPart,
    select: SpeechPart,
    config: Config,
    fold: Fold,
    folder: Path,
    seed: int = 0,
) -> LeftOut:
    """Train the branch of sound without some clips, and judge those.

    Args:
        train: what it learns from.
        select: what chooses the epoch; clips that are left out do not.
        config: of the model.
        fold: the clips that are left out.
        folder: receives the log and the resumable state.
        seed: of every random choice.
    """
    seed_everything(seed)
    model = AvtMemoCmt(token_shapes(config), config.model)
    kept = np.array([r for r, clip in enumerate(train.clips) if not fold.leaves_out(clip)])
    set_layer_statistics(model, train, kept)
    choosing = [
        speech_example(select, r, 0, False)
        for r, clip in enumerate(select.clips)
        if not fold.leaves_out(clip)
    ]
    warm_up(model, speech_plan(train, kept, choosing, seed), folder)
    held = [
        (part, row)
        for part in (train, select)
        for row, clip in enumerate(part.clips)
        if fold.leaves_out(clip)
    ]
    examples = [speech_example(part, row, 0, False) for part, row in held]
    branch = Branch(model, "audio").eval()
    layers = model.layer_statistics["audio"]
    assert isinstance(layers, LayerStatistics)
    known = fit_novelty(layers, train, kept.tolist())
    heard = torch.stack([part.statistics[0, row] for part, row in held])
    novelty = known(layers.standardised(heard))
    clips = [part.clips[row] for part, row in held]
    return LeftOut(fold.kind, clips, branch.logits(examples), novelty)
