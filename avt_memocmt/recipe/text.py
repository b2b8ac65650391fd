"""Stage 1 of the recipe: MiniLM fine-tuned on MELD's transcripts with dialogue context.

It learns from the labels and from what a larger network says of the same lines (distillation,
Hinton et al. 2015).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from accelerate.utils import set_seed
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from avt_memocmt.data.corpora import Part, meld_dialogues
from avt_memocmt.data.dialogue_batch import DialogueBatch
from avt_memocmt.data.feature_store import FeatureRow
from avt_memocmt.data.labelled_dialogues import (
    LabelledDialogue,
    dialogue_of_rows,
    one_hot,
    random_batches,
)
from avt_memocmt.data.manifest import nominal_seconds
from avt_memocmt.emotions import NUM_EMOTIONS
from avt_memocmt.features.extract_text_features import TEXT_ENCODER_FILE
from avt_memocmt.features.text_encoder import ContextTurn, TextBatch, TextEncoder
from avt_memocmt.models.checkpoint import save_tensors
from avt_memocmt.models.predict import score_dialogues
from avt_memocmt.models.prediction import DialogueNetwork, Prediction
from avt_memocmt.recipe.settings import Job, TextStageConfig
from avt_memocmt.recipe.stored_tokens import stored_array
from avt_memocmt.recipe.text_teacher import teacher_probabilities
from avt_memocmt.training.dialogues import fit_dialogues
from avt_memocmt.training.losses import class_weights
from avt_memocmt.training.trainer import mean_weights
from avt_memocmt.training.tuned_text import trainable_text_encoder

TEXT_HEAD_FILE = "text_head.safetensors"
"""In the work folder: the classifier that the encoder was tuned with, which teaches the fusion."""


class TextClassifier(DialogueNetwork):
    """The encoder, the mean of the utterance's tokens, and a linear layer; only this stage uses it.

    Args:
        encoder: trained along, but for the layers it froze.
        hidden_pieces: share of the word pieces that are hidden while training.
    """

    modalities = ("text",)

    def __init__(self, encoder: TextEncoder, hidden_pieces: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.hidden_pieces = hidden_pieces
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(encoder.dim, NUM_EMOTIONS)

    def forward(self, batch: DialogueBatch) -> Prediction:
        """Classify the words of dialogues of one turn each."""
        pieces = self.encoder.prepare([words for dialogue in batch.words for words in dialogue])
        if self.training:
            pieces = hide_pieces(pieces, self.encoder, self.hidden_pieces)
        tokens, mask = self.encoder(pieces)
        weights = mask.float() / mask.sum(1, keepdim=True).clamp(min=1)
        pooled = (tokens * weights[:, :, None]).sum(1)
        return Prediction(self.head(self.dropout(pooled)).unflatten(0, batch.turn_mask.shape))


def hide_pieces(batch: TextBatch, encoder: TextEncoder, share: float) -> TextBatch:
    """Replace a random share of the word pieces, context included, by [MASK]."""
    tokenizer = encoder.tokenizer
    special = torch.tensor([tokenizer.cls_token_id, tokenizer.sep_token_id])
    hidden = (torch.rand(batch.ids.shape) < share) & batch.mask
    hidden &= ~torch.isin(batch.ids, special)
    return replace(batch, ids=batch.ids.masked_fill(hidden, tokenizer.mask_token_id or 0))


def meld_rows(data: Path, part: Part) -> list[list[FeatureRow]]:
    """MELD's dialogues as rows of a feature store, whose split is `part`, without tokens."""
    return [
        [
            FeatureRow(
                turn.key._replace(split=part),
                turn.speaker,
                turn.text,
                turn.emotion,
                nominal_seconds(turn.text),
            )
            for turn in dialogue
        ]
        for dialogue in meld_dialogues(data, part)
    ]


def load_lines(data: Path, part: Part, context_turns: int) -> list[LabelledDialogue]:
    """MELD's turns with words, each a dialogue of its own with past turns as context."""
    dialogues = map(dialogue_of_rows, meld_rows(data, part))
    lines = (line for d in dialogues for line in d.with_context(context_turns).single_turns())
    return [line for line in lines if line.turns[0].words.text]


def train_text(job: Job) -> dict[str, float]:
    """Fine-tune the text encoder and write `text_encoder.safetensors` (fp16) into the work folder.

    The embeddings and the lowest layers stay frozen; the word embeddings are left out of the file.
    The weights are the mean of several fine-tunings.

    Returns:
        The scores on the validation part.
    """
    work, settings = job.work, job.recipe.text
    train, validation = (
        load_lines(job.data, part, job.config.text.context_turns)
        for part in ("train", "validation")
    )
    said = stored_array(
        work / "text_teacher.npy", lambda: teacher_probabilities(job, train, validation)
    )
    taught = soft_target_lines(train, said, settings)
    runs = job.runs(settings, "text")
    for order, folder in runs:
        fine_tune(_untuned(job), taught, validation, order, folder)
    model = _untuned(job)
    model.load_state_dict(mean_weights([folder for _, folder in runs]))
    save_tensors(model.head.state_dict(), work / TEXT_HEAD_FILE)
    save_tensors(model.encoder.tuned_tensors(), work / TEXT_ENCODER_FILE, torch.float16)
    return score_dialogues(model.eval(), validation, {})


def soft_targets_of_words(
    dialogues: Sequence[LabelledDialogue], head: Path
) -> list[LabelledDialogue]:
    """The dialogues, with what the stage's own classifier says of their tokens as targets.

    The labels are no targets here: the encoder was tuned on them, so its tokens of these lines are
    better than those of new ones, and a network that learns the labels relies on them too much.

    Args:
        dialogues: with text tokens in every turn.
        head: `TEXT_HEAD_FILE`.
    """
    weights = load_file(head)

    def probabilities(dialogue: LabelledDialogue) -> NDArray[np.float32]:
        tokens = [turn.tokens["text"].values for turn in dialogue.turns]
        pooled = np.stack([values.mean(axis=0, dtype=np.float32) for values in tokens])
        logits = F.linear(torch.from_numpy(pooled), weights["weight"], weights["bias"])
        found: NDArray[np.float32] = logits.softmax(dim=1).numpy()
        return found

    return [replace(dialogue, soft_targets=probabilities(dialogue)) for dialogue in dialogues]


def soft_target_lines(
    lines: Sequence[LabelledDialogue],
    probabilities: NDArray[np.float32],
    settings: TextStageConfig,
) -> list[LabelledDialogue]:
    """The training lines with a mixture of label and teacher's probabilities as targets.

    Labels are weighed by the frequency of their class. The teacher's probabilities are not, because
    it was trained with the same weights. So a target need not sum to 1.

    Args:
        lines: one turn each.
        probabilities: the teacher's, [n, 7].
        settings: smoothing and class balance of the labels, and the teacher's share.
    """
    labels = np.concatenate([line.emotions for line in lines])
    smoothing = settings.label_smoothing
    smooth = (1 - smoothing) * one_hot(labels) + smoothing / NUM_EMOTIONS
    weighed = smooth * class_weights(labels, settings.class_balance).numpy()[labels, None]
    share = settings.distillation
    targets = ((1 - share) * weighed + share * probabilities).astype(np.float32)
    pairs = zip(lines, targets, strict=True)
    return [replace(line, soft_targets=target[None]) for line, target in pairs]


def fine_tune(
    model: TextClassifier,
    lines: Sequence[LabelledDialogue],
    validation: Sequence[LabelledDialogue],
    settings: TextStageConfig,
    folder: Path,
) -> None:
    """One fine-tuning in place, whose epoch is chosen by weighted F1; the seed orders the data."""

    def batches(epoch: int) -> Iterator[list[LabelledDialogue]]:
        generator = np.random.default_rng(settings.seed + epoch)
        drawn = [forget_at_random(line, settings, generator) for line in lines]
        return random_batches(drawn, settings.batch, generator)

    fit_dialogues(
        model,
        folder,
        # The targets are smooth already.
        settings.model_copy(update={"label_smoothing": 0.0}),
        settings.steps(len(lines)),
        batches,
        validation,
        {},
        encoder=model.encoder,
    )


def forget_at_random(
    line: LabelledDialogue, settings: TextStageConfig, generator: np.random.Generator
) -> LabelledDialogue:
    """Drop the context of a line, or who spoke it, since videos often lack both."""
    (turn,) = line.turns
    context = turn.words.context
    if generator.random() < settings.drop_context:
        context = ()
    elif generator.random() < settings.drop_speakers:
        context = tuple(ContextTurn(past.text) for past in context)
    return replace(line, turns=(replace(turn, words=replace(turn.words, context=context)),))


def _untuned(job: Job) -> TextClassifier:
    """A new classifier; every run starts from the same weights."""
    settings = job.recipe.text
    set_seed(job.seed)
    encoder = trainable_text_encoder(job.config.text, settings)
    return TextClassifier(encoder, settings.hidden_pieces)
