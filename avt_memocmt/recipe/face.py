"""Stage 2 of the recipe: the face network, on every corpus of faces at once."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import cv2
import numpy as np
import torch
from accelerate.utils import set_seed
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from avt_memocmt.data.corpora import Part
from avt_memocmt.data.face_corpora import Faces, face_corpora
from avt_memocmt.emotions import NUM_EMOTIONS
from avt_memocmt.features.extract_visual_features import FACE_CNN_FILE
from avt_memocmt.features.face_cnn import FaceCNN
from avt_memocmt.metrics.scores import scores
from avt_memocmt.models.checkpoint import in_half_precision, save_tensors
from avt_memocmt.preprocessing.face_alignment import CROP_SIZE
from avt_memocmt.preprocessing.face_detectors import YuNetDetector
from avt_memocmt.preprocessing.face_tracker import crop_still
from avt_memocmt.recipe.face_start import start_from_identities
from avt_memocmt.recipe.settings import FaceRoundConfig, Job
from avt_memocmt.recipe.stored_tokens import stored_array
from avt_memocmt.training.trainer import Trainer, averaged_runs

_log = logging.getLogger(__name__)

SMALL_SIDE = 80
"""Pixels to which pictures are shrunk in the first epochs of a round."""
MEASURED_FACES = 48
"""Faces of each corpus from which the statistics of the start are measured."""


@dataclass(frozen=True)
class FaceCorpus:
    """A corpus of faces in the form that the network reads.

    Attributes:
        faces: labels and people.
        aligned: uint8 RGB [n, 112, 112, 3], after the same detection and alignment as in `predict`.
        whole: the same pictures as they are, scaled to that size.
    """

    faces: Faces
    aligned: NDArray[np.uint8]
    whole: NDArray[np.uint8]


def load_faces(job: Job, part: Part) -> list[FaceCorpus]:
    """The corpora of faces; their pictures are computed once and kept in the work folder."""
    found = []
    for faces in face_corpora(job.data, part):
        cache = job.work / f"{faces.corpus}_{part}.npy"
        aligned, whole = stored_array(cache, partial(_pictures, faces))
        found.append(FaceCorpus(faces, aligned, whole))
    return found


def _pictures(faces: Faces) -> NDArray[np.uint8]:
    """uint8 [2, n, 112, 112, 3], aligned and whole."""
    detector = YuNetDetector()
    found = np.empty((2, len(faces), CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8)
    for row in range(len(faces)):
        picture = faces.picture(row)
        found[1, row] = cv2.resize(picture, (CROP_SIZE, CROP_SIZE))
        observation, _ = crop_still(picture, detector)
        found[0, row] = found[1, row] if observation is None else observation.crop
        if row % 5000 == 4999:
            _log.info("aligned %d of %d faces of %s", row + 1, len(faces), faces.corpus)
    return found


def augment(faces: Tensor) -> Tensor:
    """Random crop, turn, scale, flip, low resolution, colour, light, noise and occlusion.

    Args:
        faces: [n, 3, 112, 112] RGB in [0, 1].

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
    out = _recolour(_low_resolution(out))
    mean = out.mean(dim=(1, 2, 3), keepdim=True)
    contrast = torch.empty(n, 1, 1, 1).uniform_(0.6, 1.3)
    light = torch.empty(n, 1, 1, 1).uniform_(-0.15, 0.15)
    out = (out - mean) * contrast + mean + light
    gamma = torch.empty(n, 1, 1, 1).uniform_(0.8, 1.25)
    out = out.clamp(1e-3, 1) ** gamma
    noisy = (torch.rand(n, 1, 1, 1) < 0.15).float()
    out = out + noisy * 0.03 * torch.randn_like(out)
    return _occlude(out, size).clamp(0, 1)


def _low_resolution(faces: Tensor) -> Tensor:
    """A quarter of the pictures lose detail, down to 28 pixels, as small film faces do."""
    blurred = faces.clone()
    chance = torch.rand(len(faces))
    for number, side in enumerate((28, 40, 56)):
        pick = (chance >= number / 12) & (chance < (number + 1) / 12)
        if pick.any():
            small = F.interpolate(faces[pick], (side, side), mode="bilinear", antialias=True)
            blurred[pick] = F.interpolate(small, faces.shape[-2:], mode="bilinear")
    return blurred


def _recolour(faces: Tensor) -> Tensor:
    """A fifth of the pictures turn grey (ITU-R BT.601); the light of the others has a colour."""
    n = len(faces)
    luma = (faces * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    grey = (torch.rand(n, 1, 1, 1) < 0.2).float()
    return torch.lerp(faces, luma.expand_as(faces), grey) * torch.empty(n, 3, 1, 1).uniform_(
        0.85, 1.15
    )


def _occlude(faces: Tensor, size: int) -> Tensor:
    """A fifth of the pictures lose a random rectangle (random erasing, Zhong et al. 2020)."""
    rows, columns = torch.arange(size)[None, :, None], torch.arange(size)[None, None, :]
    n = len(faces)
    height, width = (torch.randint(14, 38, (n, 1, 1)) for _ in range(2))
    top, left = (torch.randint(0, size - 14, (n, 1, 1)) for _ in range(2))
    inside = (rows >= top) & (rows < top + height) & (columns >= left) & (columns < left + width)
    hidden = inside & (torch.rand(n, 1, 1) < 0.2)
    return torch.where(hidden[:, None], torch.rand(n, 1, 1, 1), faces)


def to_input(pictures: NDArray[np.uint8]) -> Tensor:
    """uint8 [n, 112, 112, 3] -> float [n, 3, 112, 112] in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 255.0


def train_face(job: Job) -> dict[str, float]:
    """Train the face network and write `face_cnn.safetensors` (fp16) into the work folder.

    Returns:
        The scores on the validation parts.
    """
    train, validation = (load_faces(job, part) for part in ("train", "validation"))
    model = face_network(job, job.recipe.face.rounds, train, validation, "face")
    model.eval()
    # Statistics of batch norms stay in single precision: small variances are lost in half.
    save_tensors(in_half_precision(model), job.work / FACE_CNN_FILE)
    with torch.no_grad():
        return face_scores(model, validation, tuple(job.recipe.face.rounds[-1].shares))


def face_network(
    job: Job,
    rounds: Sequence[FaceRoundConfig],
    train: Sequence[FaceCorpus],
    validation: Sequence[FaceCorpus],
    name: str,
) -> FaceCNN:
    """Train the face network in some rounds.

    The epoch is chosen by the mean accuracy on the validation parts of a round's corpora. Where a
    round has several runs, the next one starts from the mean of their weights.

    Args:
        job: for its start, its folder and its settings other than the rounds.
        rounds: of which the shares name corpora.
        train: the corpora that may be learned from.
        validation: the corpora that are measured after each epoch.
        name: beginning of the name of each training's folder.
    """
    settings = job.recipe.face
    set_seed(job.seed)
    model = FaceCNN()
    some = [corpus.aligned[:MEASURED_FACES] for corpus in train]
    start_from_identities(model, job.face_start, to_input(np.concatenate(some)))
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    frozen = model.trunk[: settings.frozen_layers]
    frozen.requires_grad_(False)

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        frozen.eval()
        faces, votes = batch
        return F.cross_entropy(model(augment(faces)), votes)

    learned = {corpus.faces.corpus: corpus for corpus in train}
    for number, stage in enumerate(rounds, 1):
        shares = {name: share for name, share in stage.shares.items() if name in learned}
        steps = stage.steps(stage.pictures)
        evaluate = partial(face_scores, validation=validation, chosen_by=tuple(shares))
        for run, folder in averaged_runs(model, job.runs(stage, f"{name}_{number}")):
            batches = partial(_batches, job, model, learned, shares, run, steps)
            Trainer(model, folder, run, steps).run(batches, loss, evaluate, "criterion")
    model.side = FaceCNN.INPUT
    return model


def _batches(
    job: Job,
    model: FaceCNN,
    train: Mapping[str, FaceCorpus],
    shares: Mapping[str, float],
    stage: FaceRoundConfig,
    steps: int,
    epoch: int,
) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of one epoch: so much of each corpus, rarer emotions more often."""
    settings = job.recipe.face
    model.side = SMALL_SIDE if epoch < stage.small_epochs else FaceCNN.INPUT
    generator = np.random.default_rng((stage.seed, epoch))
    chances = {name: row_chances(train[name].faces.votes, settings.balance) for name in shares}
    whole = np.array(list(shares.values())) / sum(shares.values())
    for _ in range(steps):
        pictures, votes = [], []
        for name, count in zip(shares, generator.multinomial(stage.batch, whole), strict=True):
            corpus = train[name]
            rows = generator.choice(len(corpus.faces), count, p=chances[name])
            aligned = (generator.random(count) < settings.aligned_share)[:, None, None, None]
            pictures.append(np.where(aligned, corpus.aligned[rows], corpus.whole[rows]))
            votes.append(smoothed(corpus.faces.votes[rows], settings.label_noise.get(name, 0.0)))
        yield to_input(np.concatenate(pictures)), torch.from_numpy(np.concatenate(votes))


def face_scores(
    network: nn.Module, validation: Sequence[FaceCorpus], chosen_by: Sequence[str]
) -> dict[str, float]:
    """Accuracy and UAR on each corpus, and the mean accuracy on some of them, "criterion".

    Args:
        network: a `FaceCNN` in evaluation mode.
        validation: what is measured.
        chosen_by: names of corpora; those that are not measured do not count.
    """
    face_network = cast(FaceCNN, network)
    face_network.side = FaceCNN.INPUT
    found: dict[str, float] = {}
    for corpus in validation:
        name = corpus.faces.corpus
        known = np.flatnonzero(corpus.faces.majority >= 0)
        parts = np.array_split(known, max(1, len(known) // 128))
        guesses = [face_network(to_input(corpus.aligned[rows])).argmax(dim=1) for rows in parts]
        result = scores(corpus.faces.majority[known], torch.cat(guesses))
        found |= {f"{name}_accuracy": result["accuracy"], f"{name}_uar": result["uar"]}
    measured = {corpus.faces.corpus for corpus in validation}
    mean = np.mean([found[f"{name}_accuracy"] for name in chosen_by if name in measured])
    return {**found, "criterion": float(mean)}


def smoothed(votes: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """Spread a share of every row [n, 7] over all classes."""
    spread: NDArray[np.float32] = votes * np.float32(1 - share) + np.float32(share / NUM_EMOTIONS)
    return spread


def row_chances(votes: NDArray[np.float32], balance: float) -> NDArray[np.float64]:
    """Chance of drawing each picture, [n], so that those of rarer emotions come more often.

    Args:
        votes: [n, 7], of which every row sums to 1.
        balance: exponent of the inverse class frequency: 0 = as is, 1 = balanced.
    """
    shares = votes.astype(np.float64)
    frequency = shares.mean(axis=0)
    rarity = np.where(frequency > 0, frequency, 1.0) ** -balance
    weights: NDArray[np.float64] = shares @ rarity
    return weights / weights.sum()
