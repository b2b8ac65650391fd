"""The audio branch before fusion: projection, pooling and auxiliary head learn alone.

They are small, and five layers of 50 tokens a second are much to read: on their own they see every
clip many times in the time that the whole network needs for one pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avt_memocmt.data.dialogue_batch import ModalityBatch, collate
from avt_memocmt.metrics import scores
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.training.fusion_data import Example, SpeechPart, speech_example
from avt_memocmt.training.loop import Schedule, Trainer

EPOCHS = 12
BATCH = 32
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.05
LABEL_SMOOTHING = 0.05


class AudioBranch(nn.Module):
    """The parts of the model that sound passes on its way to its own opinion."""

    def __init__(self, model: AvtMemoCmt) -> None:
        super().__init__()
        self.project = model.projections["audio"]
        self.pool = model.opinion_pools["audio"]
        self.head = model.opinion_heads["audio"]

    def forward(self, sound: ModalityBatch) -> Tensor:
        """[batch, tokens, ...] -> logits [batch, 7]."""
        logits: Tensor = self.head(self.pool(*self.project(sound.values, sound.spans, sound.mask)))
        return logits


def warm_up_audio(
    model: AvtMemoCmt, train: SpeechPart, select: SpeechPart, folder: Path
) -> dict[str, float]:
    """Train the model's audio branch in place; the epoch is chosen by UAR on RAVDESS `select`.

    Args:
        folder: receives the log and the resumable state.

    Returns:
        The select scores of the chosen epoch.
    """
    branch = AudioBranch(model)
    dim = train.variants[0].values.shape[1]
    judged = [i for i, clip in enumerate(select.clips) if clip.corpus == "ravdess"]
    trainer = Trainer(
        branch,
        folder,
        Schedule(EPOCHS, -(-len(train.clips) // BATCH), LEARNING_RATE, WEIGHT_DECAY),
    )

    def logits_of(model: nn.Module, examples: Sequence[Example]) -> Tensor:
        batch = collate([e.turns for e in examples], {"audio": dim})
        return model(batch.modalities["audio"].flatten_turns())

    def batches(epoch: int) -> Iterator[list[Example]]:
        draw = np.random.default_rng(epoch)
        order = draw.permutation(len(train.clips))
        for first in range(0, len(order), BATCH):
            yield [
                speech_example(
                    train, int(row), int(draw.integers(len(train.variants))), False, draw.random()
                )
                for row in order[first : first + BATCH]
            ]

    def loss(model: nn.Module, examples: list[Example]) -> Tensor:
        truth = torch.from_numpy(np.concatenate([e.labels for e in examples]))
        return F.cross_entropy(logits_of(model, examples), truth, label_smoothing=LABEL_SMOOTHING)

    def evaluate() -> dict[str, float]:
        examples = [speech_example(select, row, 0, False) for row in judged]
        guesses: list[int] = []
        for first in range(0, len(examples), 64):
            guesses += logits_of(branch, examples[first : first + 64]).argmax(1).tolist()
        return scores([select.clips[row].emotion for row in judged], guesses)

    return trainer.run(batches, loss, evaluate, "uar")
