"""Stage 3 of the embedded recipe: the fusion network on cached tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from avt_memocmt.config import Config, TrainingConfig
from avt_memocmt.data.corpora import Part
from avt_memocmt.data.dialogue_batch import collate
from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.metrics.scores import scores
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.models.checkpoint import MODEL_FILE, save_tensors, token_shapes
from avt_memocmt.models.heads import StatisticsPooling
from avt_memocmt.models.prediction import Prediction
from avt_memocmt.recipe.examples import (
    Example,
    face_example,
    load_faces,
    load_speech,
    load_text,
    speech_example,
    text_example,
)
from avt_memocmt.recipe.synthetic_pairs import PairSampler, Sources
from avt_memocmt.recipe.unimodal import Branch, branch_plans, set_layer_statistics, warm_up
from avt_memocmt.training.trainer import Trainer, seed_everything
from avt_memocmt.training.weight_average import mean_of

RUNS = 2
"""Trainings from the same start in different orders of the data, whose weights are averaged."""
EPOCHS = 4
LEARNING_RATE = 4e-4
WEIGHT_DECAY = 0.05
WEIGHT_AVERAGE = 0.995
DISTILLATION = 0.9
"""Share of a modality's own opinion in the target of a turn that has nothing else."""
LABEL_SMOOTHING = 0.05
SPOKEN_WORDS = 0.3
"""Share of the speech clips with known words that keep them."""
CLIPS_PER_EPOCH, FACES_PER_EPOCH = 1200, 3840
"""Every dialogue comes once an epoch, and each clip also as the voice of one synthetic pair."""
BATCH_DIALOGUES, BATCH_CLIPS, BATCH_FACES = 8, 24, 128


def train_fusion(data: Path, work: Path, config: Config, seed: int = 0) -> dict[str, float]:
    """Train the fusion on the cached tokens and write `model.safetensors` (fp16) into `work`.

    The weights are the mean of several runs (a uniform soup, Wortsman et al. 2022).

    Returns:
        Their scores on the select parts.
    """
    train, select = (load_sources(data, part, config, work) for part in ("train", "validation"))
    seed_everything(seed)
    model = AvtMemoCmt(token_shapes(config), config.model)
    set_layer_statistics(model, train.speech, range(len(train.speech.clips)))
    for plan in branch_plans(train, evaluation_examples(select), seed):
        print(f"the branch of {plan.modality} alone", flush=True)
        warm_up(model, plan, work / f"{plan.modality}_branch")
    freeze_unimodal_branches(model)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    folders = [work / f"fusion_{run}" for run in range(RUNS)]
    for run, folder in enumerate(folders):
        model.load_state_dict(start)
        fit(model, train, select, folder, 100 * run + seed)
    model.load_state_dict(mean_of([load_file(folder / "best.safetensors") for folder in folders]))
    save_tensors(model.state_dict(), work / MODEL_FILE, torch.float16)
    return select_scores(model.eval(), select)


def fit(model: AvtMemoCmt, train: Sources, select: Sources, folder: Path, seed: int) -> None:
    """One run of the fusion, in place.

    The epoch is chosen by the mean of four scores on the select parts: weighted F1 of MELD text,
    UAR of speech, accuracy of FER+ faces, and UAR of synthetic matched pairs.

    Args:
        model: with its branches trained and frozen.
        train: what it learns from.
        select: what chooses the epoch.
        folder: receives the log and the resumable state.
        seed: orders the data.
    """
    trainer = Trainer(
        model,
        folder,
        TrainingConfig(
            epochs=EPOCHS,
            patience=EPOCHS,
            learning_rate=LEARNING_RATE,
            weight_decay=WEIGHT_DECAY,
            weight_average=WEIGHT_AVERAGE,
            seed=seed,
        ),
        len(_plan(train, np.random.default_rng(0))),
    )

    widths = model.widths

    def loss(model: nn.Module, examples: list[Example]) -> Tensor:
        return example_loss(model(collate([e.turns for e in examples], widths)), examples)

    def batches(epoch: int) -> Iterator[list[Example]]:
        generator = np.random.default_rng(seed * 1000 + epoch)
        pairs = PairSampler(train, generator, augmented=True)
        for kind, rows in _plan(train, generator):
            yield [_training_example(train, pairs, kind, int(row), generator) for row in rows]

    trainer.run(
        batches, loss, lambda network: select_scores(cast(AvtMemoCmt, network), select), "criterion"
    )


def load_sources(data: Path, part: Part, config: Config, work: Path) -> Sources:
    """The three corpora of one part, encoded."""
    return Sources(
        load_speech(data, part, config, work),
        load_faces(data, part, config, work),
        load_text(data, part, config, work),
    )


def freeze_unimodal_branches(model: AvtMemoCmt) -> None:
    """Freeze what `branch_plans` trained, and let the fusion start from that alone.

    Trained further together with the fusion, each modality alone got worse.
    """
    for modality in model.modalities:
        Branch(model, modality).requires_grad_(False)
        crossed = model.pools[modality]
        assert isinstance(crossed, StatisticsPooling)
        nn.init.zeros_(crossed.project.weight)
        nn.init.zeros_(crossed.project.bias)


def example_loss(prediction: Prediction, examples: Sequence[Example]) -> Tensor:
    """Cross entropy of the fused decision; every turn of the batch counts alike.

    A turn with one modality is also taught that modality's own opinion (Hinton et al. 2015): its
    branch was chosen on people it had not met, and the fusion shall not forget what it learned.
    """
    turns = [(row, column) for row, e in enumerate(examples) for column in range(len(e.turns))]
    rows, columns = (torch.tensor(side) for side in zip(*turns, strict=True))
    truth = torch.from_numpy(np.concatenate([e.labels for e in examples]))
    shown = [frozenset(turn.tokens) for e in examples for turn in e.turns]
    for name, logits in prediction.unimodal_logits.items():
        alone = torch.tensor([tokens == {name} for tokens in shown])[:, None]
        opinion = logits[rows, columns].detach().softmax(dim=1)
        truth = torch.where(alone, truth.lerp(opinion, DISTILLATION), truth)
    return _soft_cross_entropy(prediction.logits[rows, columns], truth)


@torch.no_grad()
def predict_examples(
    model: AvtMemoCmt, examples: Sequence[Example], batch: int = 64
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Truth [n], the largest entry of each label, and probabilities [n, 7] over all turns."""
    found = []
    for first in range(0, len(examples), batch):
        part = collate([e.turns for e in examples[first : first + batch]], model.widths)
        found.append(model(part).logits[part.turn_mask].softmax(dim=1).numpy())
    truth = np.concatenate([e.labels.argmax(axis=1) for e in examples])
    return truth, np.concatenate(found)


def select_scores(model: AvtMemoCmt, part: Sources) -> dict[str, float]:
    """Scores of each kind of input on one part, and their mean, "criterion"."""
    found: dict[str, float] = {}
    for name, examples in evaluation_examples(part).items():
        truth, probabilities = predict_examples(model, examples)
        result = scores(truth.tolist(), probabilities.argmax(axis=1).tolist())
        found[f"{name}_accuracy"] = result["accuracy"]
        found[f"{name}_weighted_f1"] = result["weighted_f1"]
        found[f"{name}_uar"] = result["uar"]
    chosen = ("text_weighted_f1", "audio_uar", "visual_accuracy", "pairs_uar")
    found["criterion"] = sum(found[name] for name in chosen) / len(chosen)
    return found


def evaluation_examples(part: Sources) -> dict[str, list[Example]]:
    """MELD dialogues, clips of speech, FER+ faces with a majority, and a matched pair per clip."""
    clips = range(len(part.speech.clips))
    known = np.flatnonzero(part.faces.majority >= 0)
    pairs = PairSampler(part, np.random.default_rng(0), augmented=False)
    faces = []
    for row in known:
        example = face_example(part.faces, int(row), 0)
        label = np.eye(len(EMOTIONS), dtype=np.float32)[part.faces.majority[row]][None]
        faces.append(Example(example.turns, label, example.unimodal_logits))
    return {
        "text": [text_example(part.text, d) for d in range(len(part.text.dialogues))],
        "audio": [speech_example(part.speech, row, 0, False) for row in clips],
        "visual": faces,
        "pairs": [pairs.matched(row) for row in clips],
    }


def _plan(train: Sources, generator: np.random.Generator) -> list[tuple[str, np.ndarray]]:
    """The batches of one epoch in random order: (kind, rows)."""
    chances = train.face_chances()
    faces = generator.choice(len(chances), FACES_PER_EPOCH, p=chances)
    lengths = [len(rows) for rows in train.text.dialogues]
    dialogues = np.argsort(np.array(lengths) + generator.uniform(0, 3, len(lengths)))
    clips = np.argsort(
        np.diff(train.speech.variants[0].offsets)
        * generator.uniform(0.85, 1.15, len(train.speech.clips))
    )
    some_clips = clips[np.sort(generator.permutation(len(clips))[:CLIPS_PER_EPOCH])]
    kinds = [
        ("text", dialogues, BATCH_DIALOGUES),
        ("audio", some_clips, BATCH_CLIPS),
        ("visual", faces, BATCH_FACES),
        ("pairs", clips, BATCH_CLIPS),
    ]
    plan = [
        (kind, rows[first : first + size])
        for kind, rows, size in kinds
        for first in range(0, len(rows), size)
    ]
    return [plan[i] for i in generator.permutation(len(plan))]


def _training_example(
    train: Sources, pairs: PairSampler, kind: str, row: int, generator: np.random.Generator
) -> Example:
    if kind == "text":
        return text_example(train.text, row, soft_targets=True)
    if kind == "visual":
        return face_example(train.faces, row, int(generator.integers(len(train.faces.variants))))
    if kind == "pairs":
        return pairs.training_pair(row)
    variant = int(generator.integers(len(train.speech.variants)))
    with_text = generator.random() < SPOKEN_WORDS
    return speech_example(train.speech, row, variant, with_text, generator.random())


def _soft_cross_entropy(logits: Tensor, truth: Tensor) -> Tensor:
    return F.cross_entropy(logits, truth, label_smoothing=LABEL_SMOOTHING)
