"""Stage 3 of the recipe: the fusion network on the tokens of its encoders."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from accelerate.utils import set_seed
from numpy.typing import NDArray
from torch import Tensor, nn

from avt_memocmt.config import MODALITIES
from avt_memocmt.data.dialogue_batch import collate
from avt_memocmt.data.labelled_dialogues import LabelledDialogue, only_turns, random_batches
from avt_memocmt.metrics.scores import scores
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.models.predict import predict_dialogues, score_dialogues
from avt_memocmt.models.prediction import Prediction
from avt_memocmt.recipe.conversations import ConversationSampler
from avt_memocmt.recipe.settings import FusionStageConfig, Job, PairsConfig
from avt_memocmt.recipe.sources import Sources, Speech
from avt_memocmt.recipe.synthetic_pairs import PairSampler
from avt_memocmt.recipe.unimodal import Branch, Hearing, SpeechBranch
from avt_memocmt.training.losses import soft_cross_entropy, targets_of
from avt_memocmt.training.trainer import Trainer, averaged_runs

HeldBack = Mapping[str, Sequence[LabelledDialogue]]
"""By kind of input, the dialogues of a part on which a network is measured."""


@dataclass(frozen=True)
class Unheard:
    """Dialogues with voices of a corpus, and what hears them: a training without that corpus.

    Attributes:
        dialogues: of one corpus of voices.
        hearing: None = the network's own, which knows the corpus.
    """

    dialogues: list[LabelledDialogue]
    hearing: Hearing | None = None

    def heard_by(self, model: AvtMemoCmt) -> AbstractContextManager[None]:
        """Let a network hear with it meanwhile."""
        return nullcontext() if self.hearing is None else self.hearing.lent_to(model)

    def having(self, modalities: Sequence[str]) -> Unheard:
        """The turns that have all of these modalities."""
        wanted = {*modalities}
        turns = only_turns(self.dialogues, lambda turn: turn.tokens.keys() >= wanted)
        return replace(self, dialogues=turns)


@dataclass(frozen=True)
class FusionData:
    """What the fusion learns from, and what chooses its epochs.

    Attributes:
        train: what it learns from.
        hearings: by corpus, of a branch of sound that was trained without it.
        held_back: from `held_back`.
        conversations: from `held_back_conversations`.
    """

    train: Sources
    hearings: Mapping[str, Hearing]
    held_back: HeldBack
    conversations: Sequence[Unheard]


def train_fusion(job: Job, model: AvtMemoCmt, data: FusionData) -> None:
    """Train the fusion of a network in place; the weights are the mean of several runs.

    Args:
        job: its work folder receives a folder for each training.
        model: its branches are trained and calibrated.
        data: what it learns from.
    """
    set_seed(job.seed)
    freeze_unimodal_branches(model)
    for settings, folder in averaged_runs(model, job.runs(job.recipe.fusion, "fusion")):
        _fit(job, model, data, settings, folder)
    model.eval()


@torch.no_grad()
def settle_trust(model: AvtMemoCmt, settings: FusionStageConfig) -> None:
    """Set how far each modality is trusted, and shrink the correction, in place.

    What the gate learns from conversations that were put together trusts voices too far in real
    ones, which it has not seen.
    """
    model.gate.set_trust(settings.trust, settings.trust_in_new)
    last = cast(nn.Linear, model.head[-1])
    last.weight.mul_(settings.correction)
    last.bias.mul_(settings.correction)


def _fit(
    job: Job, model: AvtMemoCmt, data: FusionData, settings: FusionStageConfig, folder: Path
) -> None:
    """One run of the fusion, in place; the branches are frozen, and the seed orders the data."""

    def loss(network: nn.Module, part: Unheard) -> Tensor:
        assert isinstance(network, AvtMemoCmt)
        batch = collate([dialogue.turns for dialogue in part.dialogues], network.widths)
        with part.heard_by(network):
            logits = network(batch).logits[batch.turn_mask]
        return soft_cross_entropy(logits, targets_of(part.dialogues), settings.label_smoothing)

    def batches(epoch: int) -> list[Unheard]:
        generator = np.random.default_rng(settings.seed * 1000 + epoch)
        return epoch_batches(job, data.train, data.hearings, settings, generator)

    trainer = Trainer(model, folder, settings, len(batches(0)))
    trainer.run(batches, loss, lambda network: validation_scores(network, data), "criterion")


def epoch_batches(
    job: Job,
    train: Sources,
    hearings: Mapping[str, Hearing],
    settings: FusionStageConfig,
    generator: np.random.Generator,
) -> list[Unheard]:
    """The batches of one epoch, in random order: conversations, and pairs.

    The voices of a batch are of one corpus. Most batches are heard by a branch that was trained
    without it, as the voices of users will be: how it errs there, and what the novelty of sound
    says of it, can be learned from nothing else.
    """
    sampler = PairSampler(train, job.recipe.pairs, generator)
    talks = ConversationSampler(train.speech, train.faces, job.recipe.conversations, generator)
    rows = generator.permutation(len(train.dialogues))
    plan = []
    for corpus, part in zip(talks.corpora, np.array_split(rows, len(talks.corpora)), strict=True):
        clips = [i for i, clip in enumerate(train.speech.clips) if clip.corpus == corpus]
        voices = generator.permutation(clips)[: math.ceil(len(clips) * settings.pairs_per_clip)]
        for heard in (True, False):
            hearing = None if heard else hearings.get(corpus)
            talk = [
                talks.conversation(piece, corpus, heard)
                for row in _share(part, settings.heard, heard)
                for piece in talks.pieces(train.dialogues[row])
            ]
            pairs = [
                sampler.training_pair(int(row)) for row in _share(voices, settings.heard, heard)
            ]
            for items, size in ((talk, settings.batch_dialogues), (pairs, settings.batch)):
                if items:
                    batches = random_batches(items, size, generator)
                    plan += [Unheard(batch, hearing) for batch in batches]
    generator.shuffle(plan)
    return plan


def _share(rows: NDArray[np.int64], share: float, first: bool) -> NDArray[np.int64]:
    """That share of the rows which comes first, or the rest."""
    count = round(len(rows) * share)
    return rows[:count] if first else rows[count:]


def held_back_conversations(
    job: Job, speech: Speech, part: Sources, hearings: Mapping[str, Hearing]
) -> list[Unheard]:
    """Conversations with voices that what hears them was not trained on.

    Args:
        job: how they are drawn.
        speech: voices of the train part, which the hearings do not know.
        part: faces and dialogues of the validation or the test part.
        hearings: by corpus, of a branch of sound that was trained without it.
    """
    generator = np.random.default_rng(0)
    talks = ConversationSampler(speech, part.faces, job.recipe.conversations, generator)
    return [
        Unheard(
            [talks.conversation(dialogue, corpus) for dialogue in part.dialogues[first::step]],
            hearings.get(corpus),
        )
        for step in (len(talks.corpora),)
        for first, corpus in enumerate(talks.corpora)
    ]


def freeze_unimodal_branches(model: AvtMemoCmt) -> None:
    """Freeze what `train_branches` trained: with the fusion, each modality alone got worse."""
    for modality in model.modalities:
        branch = SpeechBranch(Hearing.of(model)) if modality == "audio" else Branch(model, modality)
        branch.requires_grad_(False)


@torch.no_grad()
def predict_unheard(
    model: AvtMemoCmt,
    conversations: Sequence[Unheard],
    modalities: Sequence[str] = MODALITIES,
) -> tuple[Prediction, list[LabelledDialogue]]:
    """Predictions for the turns of conversations, and the dialogues in the same order.

    Args:
        model: in evaluation mode.
        conversations: each heard as it says.
        modalities: those that are given; turns without any of them are left out.
    """
    found, judged = [], []
    for part in conversations:
        given = (dialogue.only(modalities) for dialogue in part.dialogues)
        dialogues = only_turns(given, lambda turn: bool(turn.tokens))
        if not dialogues:
            continue
        with part.heard_by(model):
            found.append(predict_dialogues(model, dialogues, model.widths))
        judged += dialogues
    logits = torch.cat([prediction.logits for prediction in found])
    return replace(found[0], logits=logits), judged


def weighted_f1_of(
    model: AvtMemoCmt, conversations: Sequence[Unheard], modalities: Sequence[str]
) -> float:
    """Weighted F1 of the turns of conversations, of which some modalities are given."""
    prediction, judged = predict_unheard(model, conversations, modalities)
    truth = np.concatenate([dialogue.emotions for dialogue in judged])
    return scores(truth, prediction.logits.argmax(dim=1))["weighted_f1"]


def validation_scores(network: nn.Module, data: FusionData) -> dict[str, float]:
    """Scores of each kind of input, and the mean of five of them, "criterion".

    These are weighted F1 of MELD's words and of conversations, UAR of speech, accuracy of faces,
    and UAR of matched pairs.

    Args:
        network: in evaluation mode.
        data: held back from its training.
    """
    assert isinstance(network, AvtMemoCmt)
    found = {
        f"{kind}_{name}": score
        for kind, dialogues in data.held_back.items()
        for name, score in score_dialogues(network, dialogues, network.widths).items()
    }
    for name, modalities in (("conversations", MODALITIES), ("conversation_words", ("text",))):
        found[f"{name}_weighted_f1"] = weighted_f1_of(network, data.conversations, modalities)
    chosen = (
        "text_weighted_f1",
        "conversations_weighted_f1",
        "audio_uar",
        "visual_accuracy",
        "pairs_uar",
    )
    return {**found, "criterion": sum(found[name] for name in chosen) / len(chosen)}


def held_back(part: Sources, pairs: PairsConfig) -> dict[str, list[LabelledDialogue]]:
    """MELD's dialogues, clips of speech, faces with a majority, and a matched pair per clip.

    Args:
        part: the validation or the test part.
        pairs: of the recipe.
    """
    sampler = PairSampler(part, pairs, np.random.default_rng(0))
    return {
        "text": part.dialogues,
        "audio": part.speech.variants[0],
        "visual": [face for face in part.faces.variants[0] if face.emotions[0] >= 0],
        "pairs": [sampler.matched(row) for row in range(len(part.speech.clips))],
    }
