"""The teacher of the text encoder: MPNet, ten times its size, tuned on the same lines.

Only its probabilities for the training lines are used; no weight of it is in the checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from accelerate.utils import set_seed
from numpy.typing import NDArray
from torch import nn

from avt_memocmt.config import TextConfig, TokenShape
from avt_memocmt.data.dialogue_batch import DialogueBatch
from avt_memocmt.data.feature_store import FeatureRow
from avt_memocmt.data.index import UtteranceKey
from avt_memocmt.data.labelled_dialogues import (
    LabelledDialogue,
    load_dialogues,
    random_batches,
)
from avt_memocmt.emotions import NUM_EMOTIONS
from avt_memocmt.features.base import Tokens
from avt_memocmt.features.extract_text_features import make_text_encoder
from avt_memocmt.features.mpnet import MPNET
from avt_memocmt.features.text_encoder import TextEncoder
from avt_memocmt.models.predict import predict_dialogues
from avt_memocmt.models.prediction import DialogueNetwork, Prediction
from avt_memocmt.recipe.settings import Job, TeacherConfig
from avt_memocmt.recipe.stored_tokens import memory_mapped, store_tokens
from avt_memocmt.training.dialogues import fit_dialogues
from avt_memocmt.training.losses import class_weights


class UpperLayers(DialogueNetwork):
    """MPNet's tuned layers, the mean over the positions of the utterance, and a linear layer.

    Args:
        encoder: the whole network, of which the upper layers are taken.
        count: how many.
    """

    modalities = ("text",)

    def __init__(self, encoder: TextEncoder, count: int) -> None:
        super().__init__()
        self.layers = encoder.model.encoder
        self.layers.layer = self.layers.layer[-count:]
        self.layers.relative_attention_bias.requires_grad_(False)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(encoder.dim, NUM_EMOTIONS)
        self.dims = {"text": encoder.dim}

    def forward(self, batch: DialogueBatch) -> Prediction:
        """Classify lines whose text tokens are those of `lower_layers`."""
        part = batch.modalities["text"].flatten_turns()
        beyond = torch.zeros(part.mask.shape).masked_fill(~part.mask, -1e4)
        hidden = self.layers(part.values, attention_mask=beyond[:, None, None])[0]
        inside = (part.spans[:, :, 1:] > 0).float()
        pooled = (hidden * inside).sum(dim=1) / inside.sum(dim=1).clamp(min=1)
        return Prediction(self.head(self.dropout(pooled)).unflatten(0, batch.turn_mask.shape))


def teacher_probabilities(
    job: Job, train: Sequence[LabelledDialogue], validation: Sequence[LabelledDialogue]
) -> NDArray[np.float32]:
    """Probabilities of every training line, float32 [n, 7]: the mean of the tuned teachers.

    Args:
        job: its work folder receives a folder for each, and the output of the lower layers.
        train: lines with their labels.
        validation: lines that choose each teacher's epoch, by weighted F1.

    Raises:
        AvtError: the teacher cannot be loaded.
    """
    settings, config = job.recipe.text_teacher, job.config.text
    name = job.teacher or MPNET
    encoder = load_teacher(name, config)
    lines, chosen = (
        lower_layers(part, encoder, settings.tuned_layers, job.work / "features" / f"mpnet_{kind}")
        for kind, part in (("train", train), ("validation", validation))
    )
    labels = np.concatenate([line.emotions for line in lines])
    weights = class_weights(labels, settings.class_balance)
    found = []
    for order, folder in job.runs(settings, "text_teacher"):
        set_seed(order.seed)
        model = UpperLayers(load_teacher(name, config), settings.tuned_layers)
        fit_dialogues(
            model,
            folder,
            order,
            order.steps(len(lines)),
            partial(_shuffled, lines, order),
            chosen,
            model.dims,
            weights=weights,
            encoder=model.layers,
        )
        found.append(predict_dialogues(model, lines, model.dims).logits.softmax(dim=1).numpy())
    mean: NDArray[np.float32] = np.mean(found, axis=0)
    return mean


def _shuffled(
    lines: Sequence[LabelledDialogue], settings: TeacherConfig, epoch: int
) -> Iterator[list[LabelledDialogue]]:
    return random_batches(lines, settings.batch, np.random.default_rng(settings.seed + epoch))


def lower_layers(
    lines: Sequence[LabelledDialogue], encoder: TextEncoder, upper: int, folder: Path
) -> list[LabelledDialogue]:
    """The output of the teacher's lower layers for some lines, computed once, kept in `folder`.

    Args:
        lines: of one part, a turn each, with words and labels.
        encoder: the teacher.
        upper: its upper layers that are left out.
        folder: of the feature store.

    Returns:
        The lines with a text token for every position, context included; only the positions of the
        utterance itself have a span that is not empty.
    """
    prepared = encoder.prepare([line.turns[0].words for line in lines])
    blocks = encoder.model.encoder.layer

    @torch.no_grad()
    def encode(positions: range) -> list[Tokens]:
        found: dict[int, Tokens] = {}
        order = sorted(positions, key=prepared.lengths.tolist().__getitem__)
        encoder.model.encoder.layer = blocks[:-upper]
        for first in range(0, len(order), 32):
            rows = order[first : first + 32]
            batch = prepared.rows(rows)
            with torch.autocast("cpu", torch.bfloat16):
                hidden = encoder.model(batch.ids, batch.mask.long()).last_hidden_state.float()
            for row, state, length in zip(rows, hidden.numpy(), batch.lengths, strict=True):
                spans = np.zeros((int(length), 2), np.float32)
                start = prepared.starts[row]
                spans[start : start + prepared.counts[row], 1] = 1.0
                found[row] = Tokens(state[: int(length)], spans)
        encoder.model.encoder.layer = blocks
        return [found[position] for position in positions]

    split = lines[0].keys[0].split
    rows = [
        FeatureRow(UtteranceKey(split, number, 0), None, "", int(line.emotions[0]), 0.0)
        for number, line in enumerate(lines)
    ]
    made_by = {**encoder.identity, "layers": len(blocks) - upper}
    store = store_tokens(folder, rows, "text", TokenShape(encoder.dim), made_by, encode)
    return memory_mapped(load_dialogues([store], split, ["text"]), "text", folder)


def load_teacher(name: str, config: TextConfig) -> TextEncoder:
    """The teacher before it is tuned, which reads lines as the text encoder does.

    Args:
        name: of the packaged MPNet, or the hub id or local folder of one.
        config: of the text encoder.

    Raises:
        AvtError: it cannot be loaded.
    """
    encoder = config.encoder.model_copy(update={"name": name, "revision": None})
    return make_text_encoder(config.model_copy(update={"encoder": encoder, "fine_tuned": False}))
