"""Stage 2 of the recipe: the face CNN on the vote distributions of FER+."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from typing import cast

import numpy as np
import torch
from accelerate.utils import set_seed
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from avt_memocmt.data.corpora import Faces, Part, ferplus_faces
from avt_memocmt.features.extract_visual_features import FACE_CNN_FILE
from avt_memocmt.features.face_cnn import FaceCNN
from avt_memocmt.metrics.scores import scores
from avt_memocmt.models.checkpoint import in_half_precision, save_tensors
from avt_memocmt.preprocessing.face_detectors import YuNetDetector
from avt_memocmt.preprocessing.face_tracker import crop_still
from avt_memocmt.pretrained import packaged_path
from avt_memocmt.recipe.settings import FaceRoundConfig, Job
from avt_memocmt.recipe.stored_tokens import stored_array
from avt_memocmt.training.trainer import Trainer

_log = logging.getLogger(__name__)

SMALL_SIDE, LARGE_SIDE = 64, 80
"""Pixels to which pictures are enlarged while training. Epochs are judged at the network's own
size: at 96 pixels the weights of the first round were 0.012 less accurate on the validation part.
"""


def load_faces(job: Job, part: Part) -> tuple[Faces, NDArray[np.uint8]]:
    """FER+ pictures as they are, and aligned; those are computed once and kept in the work folder.

    Returns:
        The pictures with their votes, and `aligned_pictures` of them.
    """
    faces = ferplus_faces(job.data, part)
    cache = job.work / f"ferplus_{part}_aligned.npy"
    return faces, stored_array(cache, lambda: aligned_pictures(faces))


def aligned_pictures(faces: Faces) -> NDArray[np.uint8]:
    """The pictures after the same detection and alignment that `predict` applies, [n, 48, 48]."""
    detector = YuNetDetector()
    crops = np.empty((len(faces), FaceCNN.INPUT, FaceCNN.INPUT), dtype=np.uint8)
    for row, picture in enumerate(faces.pictures):
        observation, _ = crop_still(np.repeat(picture[:, :, None], 3, axis=2), detector)
        assert observation is not None, "a picture this small counts as a face where none is found"
        pixels = torch.from_numpy(observation.crop[:, :, 0].copy()).float()[None, None]
        small = F.interpolate(
            pixels, (FaceCNN.INPUT, FaceCNN.INPUT), mode="bilinear", antialias=True
        )
        crops[row] = small[0, 0].round().clamp(0, 255).byte().numpy()
        if row % 5000 == 4999:
            _log.info("aligned %d of %d faces", row + 1, len(faces))
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


def train_face(job: Job) -> dict[str, float]:
    """Fine-tune the face CNN and write `face_cnn.safetensors` (fp16) into the work folder.

    The epoch is chosen by the mean of accuracy and UAR on the validation part of FER+.

    Returns:
        The validation scores of the chosen epoch.
    """
    work, settings, seed = job.work, job.recipe.face, job.seed
    set_seed(seed)
    train, aligned = load_faces(job, "train")
    validation, validation_aligned = load_faces(job, "validation")
    known = np.flatnonzero(validation.majority >= 0)
    judged = to_input(validation_aligned[known])
    chances = row_chances(train.votes, settings.balance)
    model = FaceCNN()
    start_from_imagenet(model)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        faces, votes = batch
        inputs = augment(faces).contiguous(memory_format=torch.channels_last)
        return F.cross_entropy(model(inputs), votes)

    def evaluate(network: nn.Module) -> dict[str, float]:
        cast(FaceCNN, network).side = FaceCNN.SIDE
        guesses = torch.cat([network(faces).argmax(dim=1) for faces in torch.split(judged, 512)])
        found = scores(validation.majority[known], guesses)
        return {**found, "criterion": (found["accuracy"] + found["uar"]) / 2}

    def batches(stage: FaceRoundConfig, steps: int, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        model.side = SMALL_SIDE if epoch < stage.small_epochs else LARGE_SIDE
        generator = np.random.default_rng(seed + epoch)
        for _ in range(steps):
            rows = generator.choice(len(train), stage.batch, p=chances)
            use_aligned = generator.random(stage.batch) < settings.aligned_share
            pictures = np.where(use_aligned[:, None, None], aligned[rows], train.pictures[rows])
            yield to_input(pictures), torch.from_numpy(train.votes[rows])

    for number, stage in enumerate(settings.rounds, 1):
        steps = stage.steps(len(train))
        folder = work / ("face" if number == 1 else f"face_{number}")
        trainer = Trainer(model, folder, stage.model_copy(update={"seed": seed}), steps)
        best = trainer.run(partial(batches, stage, steps), loss, evaluate, "criterion")
    # Statistics of batch norms stay in single precision: small variances are lost in half.
    save_tensors(in_half_precision(model), work / FACE_CNN_FILE)
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


def row_chances(votes: NDArray[np.float32], balance: float) -> NDArray[np.float64]:
    """Chance of drawing each picture, [n], so that those of rarer emotions come more often.

    Args:
        votes: [n, 7], of which every row sums to 1.
        balance: exponent of the inverse class frequency: 0 = as is, 1 = balanced.
    """
    shares = votes.astype(np.float64)
    weights: NDArray[np.float64] = shares @ (shares.mean(axis=0) ** -balance)
    return weights / weights.sum()
