"""Stage 3 of the recipe: the fusion network on the tokens of its encoders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from accelerate.utils import set_seed
from torch import Tensor, nn

from avt_memocmt.data.dialogue_batch import DialogueBatch, collate
from avt_memocmt.data.labelled_dialogues import LabelledDialogue, random_batches
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.models.checkpoint import token_shapes
from avt_memocmt.models.heads import StatisticsPooling
from avt_memocmt.models.predict import score_dialogues
from avt_memocmt.models.prediction import Prediction
from avt_memocmt.recipe.settings import FusionStageConfig, Job, PairsConfig
from avt_memocmt.recipe.sources import Sources
from avt_memocmt.recipe.synthetic_pairs import PairSampler
from avt_memocmt.recipe.unimodal import Branch, train_branches
from avt_memocmt.training.losses import soft_cross_entropy, targets_of
from avt_memocmt.training.trainer import Trainer, mean_weights

HeldBack = Mapping[str, Sequence[LabelledDialogue]]
"""By kind of input, the dialogues of a part on which a network is measured."""


def train_fusion(job: Job, train: Sources, validation: HeldBack) -> AvtMemoCmt:
    """Train the branches and the fusion; the weights are the mean of several runs.

    Args:
        job: its work folder receives a folder for each training.
        train: what they learn from.
        validation: from `held_back`, chooses the epochs.
    """
    set_seed(job.seed)
    model = AvtMemoCmt(token_shapes(job.config), job.config.model)
    train_branches(job, model, train, validation)
    freeze_unimodal_branches(model)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    runs = job.runs(job.recipe.fusion, "fusion")
    for settings, folder in runs:
        model.load_state_dict(start)
        fit(model, train, validation, settings, job.recipe.pairs, folder)
    model.load_state_dict(mean_weights([folder for _, folder in runs]))
    return model.eval()


def fit(
    model: AvtMemoCmt,
    train: Sources,
    validation: HeldBack,
    settings: FusionStageConfig,
    pairs: PairsConfig,
    folder: Path,
) -> None:
    """One run of the fusion, in place; the branches are frozen, and the seed orders the data."""

    def loss(network: nn.Module, dialogues: list[LabelledDialogue]) -> Tensor:
        batch = collate([dialogue.turns for dialogue in dialogues], model.widths)
        return fusion_loss(network(batch), batch, targets_of(dialogues), settings)

    def batches(epoch: int) -> Iterator[list[LabelledDialogue]]:
        generator = np.random.default_rng(settings.seed * 1000 + epoch)
        return iter(epoch_batches(train, settings, pairs, generator))

    steps = len(epoch_batches(train, settings, pairs, np.random.default_rng(0)))
    trainer = Trainer(model, folder, settings, steps)
    trainer.run(
        batches,
        loss,
        lambda network: validation_scores(network, validation, model.widths),
        "criterion",
    )


def epoch_batches(
    train: Sources,
    settings: FusionStageConfig,
    pairs: PairsConfig,
    generator: np.random.Generator,
) -> list[list[LabelledDialogue]]:
    """The batches of one epoch: each of dialogues, clips, faces or pairs, in random order."""
    clips = generator.permutation(len(train.speech.clips))
    sampler = PairSampler(train, pairs, generator)

    def sentence(row: int) -> LabelledDialogue:
        with_words = generator.random() < settings.spoken_words
        return train.speech.draw(row, generator, ("audio", "text") if with_words else ("audio",))

    faces = train.draw_faces(settings.faces_per_epoch, pairs.face_balance, generator)
    drawn = (
        (train.dialogues, settings.batch_dialogues),
        ([sentence(row) for row in clips[: settings.clips_per_epoch]], settings.batch),
        (faces, settings.batch_faces),
        ([sampler.training_pair(row) for row in clips], settings.batch),
    )
    plan = [
        batch for dialogues, size in drawn for batch in random_batches(dialogues, size, generator)
    ]
    generator.shuffle(plan)
    return plan


def freeze_unimodal_branches(model: AvtMemoCmt) -> None:
    """Freeze what `train_branches` trained, and zero what the fusion adds to it at first.

    Trained further together with the fusion, each modality alone got worse.
    """
    for modality in model.modalities:
        Branch(model, modality).requires_grad_(False)
        crossed = model.pools[modality]
        assert isinstance(crossed, StatisticsPooling)
        nn.init.zeros_(crossed.project.weight)
        nn.init.zeros_(crossed.project.bias)


def fusion_loss(
    prediction: Prediction, batch: DialogueBatch, targets: Tensor, settings: FusionStageConfig
) -> Tensor:
    """Cross entropy of the decision; every turn of the batch counts alike.

    The target of a turn with one modality is mixed with the prediction of that modality's branch
    (Hinton et al. 2015), so that the fusion does not forget what the branch learned.

    Args:
        prediction: of the network.
        batch: what it was given.
        targets: float [turns, 7], of the batch's real turns.
        settings: distillation and label smoothing.
    """
    real = batch.turn_mask
    present = {m: part.mask.any(dim=2)[real] for m, part in batch.modalities.items()}
    lone = torch.stack(list(present.values())).sum(dim=0) == 1
    for name, logits in prediction.unimodal_logits.items():
        said = logits[real].detach().softmax(dim=1)
        taught = targets.lerp(said, settings.distillation)
        targets = torch.where((lone & present[name])[:, None], taught, targets)
    return soft_cross_entropy(prediction.logits[real], targets, settings.label_smoothing)


def validation_scores(
    network: nn.Module, validation: HeldBack, dims: dict[str, int]
) -> dict[str, float]:
    """Scores of each kind of input, and the mean of four of them, "criterion".

    These are weighted F1 of MELD's words, UAR of speech, accuracy of FER+ faces, and UAR of
    matched pairs.

    Args:
        network: in evaluation mode.
        validation: from `held_back`.
        dims: width of a token of each modality.
    """
    found = {
        f"{kind}_{name}": score
        for kind, dialogues in validation.items()
        for name, score in score_dialogues(network, dialogues, dims).items()
    }
    chosen = ("text_weighted_f1", "audio_uar", "visual_accuracy", "pairs_uar")
    return {**found, "criterion": sum(found[name] for name in chosen) / len(chosen)}


def held_back(part: Sources, pairs: PairsConfig) -> dict[str, list[LabelledDialogue]]:
    """MELD's dialogues, clips of speech, FER+ faces with a majority, and a matched pair per clip.

    Args:
        part: the validation or the test part.
        pairs: of the recipe.
    """
    sampler = PairSampler(part, pairs, np.random.default_rng(0))
    return {
        "text": part.dialogues,
        "audio": [clip.only(("audio",)) for clip in part.speech.variants[0]],
        "visual": [face for face in part.faces[0] if face.emotions[0] >= 0],
        "pairs": [sampler.matched(row) for row in range(len(part.speech.clips))],
    }
