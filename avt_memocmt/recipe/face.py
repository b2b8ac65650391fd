"""Stage 2 of the embedded recipe: the face CNN on the vote distributions of FER+."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from avt_memocmt.config import TrainingConfig
from avt_memocmt.data.corpora import Faces, Part, ferplus_faces
from avt_memocmt.features.extract_visual_features import FACE_CNN_FILE
from avt_memocmt.features.face_cnn import FaceCNN
from avt_memocmt.metrics.scores import scores
from avt_memocmt.models.checkpoint import save_tensors
from avt_memocmt.preprocessing.face_detectors import YuNetDetector
from avt_memocmt.preprocessing.face_tracker import crop_still
from avt_memocmt.pretrained import packaged_path
from avt_memocmt.training.trainer import Trainer, seed_everything


@dataclass(frozen=True)
class Round:
    """One rise and fall of the learning rate (warm restarts, Loshchilov and Hutter 2017).

    Attributes:
        folder: below the work folder, for log and state.
        sides: pixels to which pictures are enlarged in each epoch: small ones first, they are
            faster (Tan and Le 2021, section 4.2).
        batch: pictures of one step.
        learning_rate: peak.
    """

    folder: str
    sides: tuple[int, ...]
    batch: int
    learning_rate: float


ROUNDS = (
    Round("face", 3 * (64,) + 6 * (80,), 128, 1e-3),
    Round("face_2", 5 * (64,) + 12 * (80,), 64, 6e-4),
)
"""Each starts from the chosen weights of the one before. Epochs are judged at the network's own
size: at 96 pixels the weights of the first round were 0.012 less accurate on the select part."""
WEIGHT_DECAY = 0.05
WEIGHT_AVERAGE = 0.998
BALANCE = 0.25
"""Exponent of the inverse class frequency by which rows are drawn: 0 = as is, 1 = balanced."""
ALIGNED_SHARE = 0.7
"""Share of training pictures that went through detection and alignment, as in `predict`."""


def aligned_pictures(faces: Faces, cache: Path) -> NDArray[np.uint8]:
    """The pictures after the same detection and alignment that `predict` applies, [n, 48, 48].

    Computed once and kept in `cache`.
    """
    if cache.is_file():
        stored: NDArray[np.uint8] = np.load(cache, allow_pickle=False)
        return stored
    detector = YuNetDetector()
    crops = np.empty((len(faces), FaceCNN.INPUT, FaceCNN.INPUT), dtype=np.uint8)
    for row, picture in enumerate(faces.pictures):
        observation, _ = crop_still(np.repeat(picture[:, :, None], 3, axis=2), detector)
        crop = picture if observation is None else observation.crop[:, :, 0]
        pixels = torch.from_numpy(crop.copy()).float()[None, None]
        small = F.interpolate(
            pixels, (FaceCNN.INPUT, FaceCNN.INPUT), mode="bilinear", antialias=True
        )
        crops[row] = small[0, 0].round().clamp(0, 255).byte().numpy()
        if row % 5000 == 4999:
            print(f"  aligned {row + 1} of {len(faces)} faces", flush=True)
    partial = cache.with_suffix(".part.npy")
    np.save(partial, crops)
    partial.replace(cache)
    return crops


def augment(faces: Tensor) -> Tensor:
    """Random crop, turn, scale, flip, light, blur, low resolution, noise and occlusion.

    Args:
        faces: [n, 1, 48, 48] grey in [0, 1].

    Returns:
        The same shape; each picture is changed on its own.
    """
    n, size = len(faces), faces.shape[-1]
    angle = torch.empty(n).uniform_(-0.2, 0.2)
    scale = torch.empty(n).uniform_(0.87, 1.12)
    flip = torch.where(torch.rand(n) < 0.5, -1.0, 1.0)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = flip * angle.cos() * scale, -angle.sin() * scale
    theta[:, 1, 0], theta[:, 1, 1] = flip * angle.sin() * scale, angle.cos() * scale
    theta[:, :, 2] = torch.empty(n, 2).uniform_(-0.1, 0.1)
    grid = F.affine_grid(theta, list(faces.shape), align_corners=False)
    out = F.grid_sample(faces, grid, padding_mode="border", align_corners=False)
    out = _low_resolution(out)
    mean = out.mean(dim=(2, 3), keepdim=True)
    contrast = torch.empty(n, 1, 1, 1).uniform_(0.6, 1.3)
    light = torch.empty(n, 1, 1, 1).uniform_(-0.15, 0.15)
    out = (out - mean) * contrast + mean + light
    gamma = torch.empty(n, 1, 1, 1).uniform_(0.8, 1.25)
    out = out.clamp(0, 1).clamp(min=1e-3) ** gamma
    noisy = (torch.rand(n, 1, 1, 1) < 0.15).float()
    out = out + noisy * 0.03 * torch.randn_like(out)
    return _occlude(out, size).clamp(0, 1)


def _low_resolution(faces: Tensor) -> Tensor:
    """A fifth of the pictures lose detail, down to 20 pixels, as small film faces do."""
    blurred = faces.clone()
    chance = torch.rand(len(faces))
    for number, side in enumerate((20, 26, 32)):
        pick = (chance >= number / 15) & (chance < (number + 1) / 15)
        if pick.any():
            small = F.interpolate(faces[pick], (side, side), mode="bilinear", antialias=True)
            blurred[pick] = F.interpolate(small, faces.shape[-2:], mode="bilinear")
    return blurred


def _occlude(faces: Tensor, size: int) -> Tensor:
    """A sixth of the pictures lose a random rectangle (random erasing, Zhong et al. 2020)."""
    rows, columns = torch.arange(size)[None, :, None], torch.arange(size)[None, None, :]
    n = len(faces)
    height, width = (torch.randint(6, 16, (n, 1, 1)) for _ in range(2))
    top, left = (torch.randint(0, size - 6, (n, 1, 1)) for _ in range(2))
    inside = (rows >= top) & (rows < top + height) & (columns >= left) & (columns < left + width)
    hidden = inside & (torch.rand(n, 1, 1) < 0.17)
    return torch.where(hidden[:, None], torch.rand(n, 1, 1, 1), faces)


def to_input(pictures: NDArray[np.uint8]) -> Tensor:
    """uint8 [n, 48, 48] -> float [n, 1, 48, 48] in [0, 1]."""
    return torch.from_numpy(pictures).float()[:, None] / 255.0


def train_face(data: Path, work: Path, seed: int = 0) -> dict[str, float]:
    """Fine-tune the face CNN and write `face_cnn.safetensors` (half precision) into `work`.

    The epoch is chosen by the mean of accuracy and UAR on the select part of FER+'s train split.

    Returns:
        The select scores of the chosen epoch.
    """
    seed_everything(seed)
    work.mkdir(parents=True, exist_ok=True)
    train, aligned = _load(data, "train", work)
    select, select_aligned = _load(data, "validation", work)
    known = np.flatnonzero(select.majority >= 0)
    chances = _row_weights(train)
    model = FaceCNN()
    start_from_imagenet(model)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        faces, votes = batch
        inputs = augment(faces).contiguous(memory_format=torch.channels_last)
        return F.cross_entropy(model(inputs), votes)

    def evaluate(network: nn.Module) -> dict[str, float]:
        guesses: list[int] = []
        cast(FaceCNN, network).side = FaceCNN.SIDE
        for first in range(0, len(known), 512):
            rows = known[first : first + 512]
            guesses += network(to_input(select_aligned[rows])).argmax(1).tolist()
        found = scores(select.majority[known].tolist(), guesses)
        return {**found, "criterion": (found["accuracy"] + found["uar"]) / 2}

    for plan in ROUNDS:
        steps = -(-len(train) // plan.batch)
        trainer = Trainer(
            model,
            work / plan.folder,
            TrainingConfig(
                epochs=len(plan.sides),
                patience=len(plan.sides),
                learning_rate=plan.learning_rate,
                weight_decay=WEIGHT_DECAY,
                weight_average=WEIGHT_AVERAGE,
                seed=seed,
            ),
            steps,
        )

        def batches(
            epoch: int, plan: Round = plan, steps: int = steps
        ) -> Iterator[tuple[Tensor, Tensor]]:
            model.side = plan.sides[epoch]
            generator = np.random.default_rng(seed + epoch)
            for _ in range(steps):
                rows = generator.choice(len(train), plan.batch, p=chances)
                use_aligned = generator.random(plan.batch) < ALIGNED_SHARE
                pictures = np.where(use_aligned[:, None, None], aligned[rows], train.pictures[rows])
                yield to_input(pictures), torch.from_numpy(train.votes[rows])

        best = trainer.run(batches, loss, evaluate, "criterion")
    # Statistics of batch norms stay in single precision: small variances are lost in half.
    halves = {name: value.half() for name, value in model.named_parameters()}
    save_tensors({**model.state_dict(), **halves}, work / FACE_CNN_FILE)
    return best


def start_from_imagenet(model: FaceCNN) -> None:
    """Give the trunk the weights of EfficientNet-Lite0, whose tensors come in the same order.

    Raises:
        AvtError: the package that holds them is not installed.
    """
    pretrained = torch.load(packaged_path("efficientnet-lite0"), weights_only=True)
    own = model.trunk.state_dict()
    names = list(pretrained)[: len(own)]
    model.trunk.load_state_dict(dict(zip(own, (pretrained[n] for n in names), strict=True)))


def _load(data: Path, part: Part, work: Path) -> tuple[Faces, NDArray[np.uint8]]:
    faces = ferplus_faces(data, part)
    return faces, aligned_pictures(faces, work / f"ferplus_{part}_aligned.npy")


def _row_weights(faces: Faces) -> NDArray[np.float64]:
    """Chance of drawing each row: rarer votes are drawn more often (`BALANCE`)."""
    frequency = faces.votes.sum(axis=0) / faces.votes.sum()
    weights = faces.votes @ (frequency**-BALANCE)
    chances: NDArray[np.float64] = weights.astype(np.float64) / weights.sum()
    return chances / chances.sum()
