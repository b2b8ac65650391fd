"""Stage 1 of the embedded recipe: MiniLM fine-tuned on MELD's transcripts with dialogue context.

It learns from the labels and from what a larger network says of the same lines (distillation,
Hinton et al. 2015).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from avt_memocmt.config import TextConfig, TrainingConfig
from avt_memocmt.data.corpora import meld_dialogues
from avt_memocmt.data.meld.table import MeldRow
from avt_memocmt.emotions import NUM_EMOTIONS
from avt_memocmt.features.extract_text_features import TEXT_ENCODER_FILE, make_text_encoder
from avt_memocmt.features.text_encoder import (
    ContextTurn,
    TextBatch,
    TextEncoder,
    TextInput,
    contexts,
)
from avt_memocmt.metrics.scores import scores
from avt_memocmt.models.checkpoint import save_tensors
from avt_memocmt.recipe.text_teacher import CLASS_BALANCE, LABEL_SMOOTHING, teacher_probabilities
from avt_memocmt.recipe.token_cache import TokenCache
from avt_memocmt.training.losses import class_weights
from avt_memocmt.training.trainer import Trainer, seed_everything, similar_length_batches
from avt_memocmt.training.weight_average import mean_of

Example = tuple[TextInput, int]
SoftTargetLine = tuple[TextInput, NDArray[np.float32]]
"""An utterance and the distribution to predict."""

RUNS = 5
"""Fine-tunings from the same start in different orders of the data, whose weights are averaged."""
EPOCHS = 3
BATCH = 32
LEARNING_RATE = 1.5e-4
HEAD_LEARNING_RATE = 1e-3
FROZEN_LAYERS = 2
WEIGHT_AVERAGE = 0.995
DISTILLATION = 0.7
"""Share of the teacher's opinion in the target; the rest is the label."""
DROP_CONTEXT = 0.1
DROP_SPEAKERS = 0.15
HIDDEN_PIECES = 0.1
"""Share of the word pieces, context included, that are hidden behind [MASK] in training."""
TEXT_HEAD_FILE = "text_head.safetensors"
"""In the work folder: the classifier that the encoder was tuned with, which teaches the fusion."""


class TextClassifier(nn.Module):
    """The encoder, the mean of the utterance's tokens, and a linear layer: for this stage alone."""

    def __init__(self, encoder: TextEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(encoder.dim, NUM_EMOTIONS)

    def forward(self, inputs: list[TextInput]) -> Tensor:
        """Utterances -> logits [batch, 7]."""
        batch = self.encoder.prepare(inputs)
        tokens, mask = self.encoder(hide_pieces(batch, self.encoder) if self.training else batch)
        weights = mask.float() / mask.sum(1, keepdim=True).clamp(min=1)
        pooled = (tokens * weights[:, :, None]).sum(1)
        logits: Tensor = self.head(self.dropout(pooled))
        return logits


def hide_pieces(batch: TextBatch, encoder: TextEncoder) -> TextBatch:
    """The batch with a random `HIDDEN_PIECES` of its word pieces replaced by [MASK]."""
    tokenizer = encoder.tokenizer
    special = torch.tensor([tokenizer.cls_token_id, tokenizer.sep_token_id])
    hidden = (torch.rand(batch.ids.shape) < HIDDEN_PIECES) & batch.mask
    hidden &= ~torch.isin(batch.ids, special)
    return replace(batch, ids=batch.ids.masked_fill(hidden, tokenizer.mask_token_id or 0))


def dialogue_inputs(dialogue: Sequence[MeldRow], context_turns: int) -> list[Example]:
    """Each turn with the turns before it, tagged by whether the same person spoke them."""
    before = contexts(((turn.speaker, turn.text) for turn in dialogue), context_turns)
    return [
        (TextInput(turn.text, context), turn.emotion)
        for turn, context in zip(dialogue, before, strict=True)
    ]


def forget_at_random(item: TextInput, generator: np.random.Generator) -> TextInput:
    """Drop the context, or who spoke, as happens with people's own videos."""
    if generator.random() < DROP_CONTEXT:
        return replace(item, context=())
    if generator.random() < DROP_SPEAKERS:
        return replace(item, context=tuple(ContextTurn(turn.text) for turn in item.context))
    return item


def train_text(
    data: Path, work: Path, config: TextConfig, teacher: str | None, seed: int = 0
) -> dict[str, float]:
    """Fine-tune the text encoder and write `text_encoder.safetensors` (fp16) into `work`.

    The embeddings and the lowest layers stay frozen; the word embeddings are left out of the file.
    The weights are the mean of several fine-tunings (a uniform soup, Wortsman et al. 2022).

    Args:
        data: folder with meld/.
        work: receives caches, logs and states as well.
        config: of the encoder.
        teacher: hub id or folder of MPNet, which teaches; None: the packages that hold it.
        seed: of every random choice.

    Returns:
        Their scores on the select part of MELD's train split.
    """
    select = _examples(data, "validation", config)
    train = _examples(data, "train", config)
    cache = work / "text_teacher.npy"
    if not cache.is_file():
        partial = cache.with_suffix(".part.npy")
        np.save(partial, teacher_probabilities(train, select, work, config, teacher, seed))
        partial.replace(cache)
    soft_targets = soft_target_examples(train, np.load(cache, allow_pickle=False))
    folders = [fine_tune(soft_targets, select, work, config, seed, run) for run in range(RUNS)]
    model = _start(config, seed)
    model.load_state_dict(mean_of([load_file(folder / "best.safetensors") for folder in folders]))
    model.eval()
    result = _select_scores(model, select)
    save_tensors(model.head.state_dict(), work / TEXT_HEAD_FILE)
    save_tensors(model.encoder.tuned_tensors(), work / TEXT_ENCODER_FILE, torch.float16)
    return result


def text_unimodal_logits(utterances: TokenCache, head: Path) -> NDArray[np.float32]:
    """What the stage's own classifier says of encoded utterances.

    Args:
        utterances: their tokens; one without any is judged from a mean of zeros.
        head: `TEXT_HEAD_FILE`.

    Returns:
        Probabilities, float32 [n, 7].
    """
    weights = load_file(head)
    rows = (utterances.tokens(row) for row in range(len(utterances)))
    pooled = np.stack([item.values.sum(axis=0) / max(1, len(item)) for item in rows])
    logits = F.linear(torch.from_numpy(pooled), weights["weight"], weights["bias"])
    unimodal_logits: NDArray[np.float32] = logits.softmax(dim=1).numpy()
    return unimodal_logits


def soft_target_examples(
    train: list[Example], probabilities: NDArray[np.float32]
) -> list[SoftTargetLine]:
    """The training lines with what is to be predicted: label and teacher's opinion, mixed.

    The labels of rare emotions weigh more; the teacher, who learned from labels weighed alike, says
    so by itself. A target need not sum to 1.

    Args:
        train: lines with their labels.
        probabilities: the teacher's probabilities, [n, 7].
    """
    labels = np.array([label for _, label in train])
    smooth = (1 - LABEL_SMOOTHING) * np.eye(NUM_EMOTIONS)[labels] + LABEL_SMOOTHING / NUM_EMOTIONS
    weighed = smooth * class_weights(labels, CLASS_BALANCE).numpy()[labels, None]
    targets = ((1 - DISTILLATION) * weighed + DISTILLATION * probabilities).astype(np.float32)
    return [(item, target) for (item, _), target in zip(train, targets, strict=True)]


def fine_tune(
    soft_targets: list[SoftTargetLine],
    select: list[Example],
    work: Path,
    config: TextConfig,
    seed: int,
    run: int,
) -> Path:
    """One fine-tuning, whose epoch is chosen by weighted F1 on the select part.

    Args:
        soft_targets: the lines to learn from.
        select: the lines that choose.
        work: receives a folder for the run.
        config: of the encoder.
        seed: of the start, the same for all runs.
        run: orders the data.

    Returns:
        The folder with its log and its weights, `best.safetensors`.
    """
    model = _start(config, seed)
    folder = work / f"text_{run}"
    order = 100 * run + seed
    trainer = Trainer(
        model,
        folder,
        TrainingConfig(
            epochs=EPOCHS,
            learning_rate=HEAD_LEARNING_RATE,
            weight_average=WEIGHT_AVERAGE,
            seed=order,
        ),
        -(-len(soft_targets) // BATCH),
        groups=[
            {"params": list(model.head.parameters())},
            {
                "params": [p for p in model.encoder.parameters() if p.requires_grad],
                "lr": LEARNING_RATE,
            },
        ],
    )

    def loss(model: nn.Module, batch: list[SoftTargetLine]) -> Tensor:
        # A third faster where the processor has bfloat16 units. Accelerate's own mixed precision
        # would hold for every later stage of the process.
        with torch.autocast("cpu", torch.bfloat16):
            logits = model([item for item, _ in batch]).float()
        truth = torch.from_numpy(np.stack([target for _, target in batch]))
        return F.cross_entropy(logits, truth)

    trainer.run(
        lambda epoch: _batches(soft_targets, order + epoch),
        loss,
        lambda network: _select_scores(cast(TextClassifier, network), select),
        "weighted_f1",
    )
    return folder


def _start(config: TextConfig, seed: int) -> TextClassifier:
    seed_everything(seed)
    encoder = make_text_encoder(config)
    encoder.freeze(FROZEN_LAYERS)
    encoder.set_dropout(0.0)
    return TextClassifier(encoder)


@torch.no_grad()
def _select_scores(model: TextClassifier, select: list[Example]) -> dict[str, float]:
    guesses: list[int] = []
    for first in range(0, len(select), 64):
        guesses += model([item for item, _ in select[first : first + 64]]).argmax(1).tolist()
    return scores([label for _, label in select], guesses)


def _examples(data: Path, part: str, config: TextConfig) -> list[Example]:
    return [
        example
        for dialogue in meld_dialogues(data, part)  # type: ignore[arg-type]
        for example in dialogue_inputs(dialogue, config.context_turns)
        if example[0].text
    ]


def _batches(examples: list[SoftTargetLine], seed: int) -> Iterator[list[SoftTargetLine]]:
    generator = np.random.default_rng(seed)
    drawn = [(forget_at_random(item, generator), target) for item, target in examples]
    sizes = [len(i.text) + sum(len(c.text) for c in i.context) for i, _ in drawn]
    for rows in similar_length_batches(np.array(sizes), BATCH, generator):
        yield [drawn[row] for row in rows]
