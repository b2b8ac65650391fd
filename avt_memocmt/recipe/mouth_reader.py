"""Trains the reader of mouths: facial landmarks of a large network are the labels.

Only still pictures of faces are learned from, so that films of talkers measure it.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import torch
from accelerate.utils import set_seed
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from avt_memocmt.config import Positive
from avt_memocmt.config_file import named_problems, read_yaml
from avt_memocmt.data.corpora import Part
from avt_memocmt.data.face_corpora import Faces, face_corpora
from avt_memocmt.files import write_atomically
from avt_memocmt.preprocessing.face_alignment import CROP_SIZE, crop_face
from avt_memocmt.preprocessing.face_detectors import YuNetDetector
from avt_memocmt.preprocessing.face_tracker import find_faces
from avt_memocmt.preprocessing.mouth_shape import (
    MOUTH_SHAPE,
    REGION,
    REGION_LEFT,
    REGION_TOP,
    mouth_regions,
)
from avt_memocmt.recipe.mouth_teacher import LandmarkTeacher, mouth_shape
from avt_memocmt.recipe.settings import StageConfig
from avt_memocmt.training.trainer import Trainer

_log = logging.getLogger(__name__)

SETTINGS = Path(__file__).parent / "speaking_face.yaml"

_LENGTHS = len(MOUTH_SHAPE) - 1
_SURE = 0.5
"""From this visibility on, the landmarks of a face are taken for true."""
_VISIBLE_UNIT = 10.0
"""Logits of the teacher to one unit of visibility: seen from the front, faces have 20 to 50."""
_COARSE, _COARSE_WEIGHT = "ferplus", 0.5
"""Pictures of 48 pixels, whose landmarks are less exact, and what they weigh."""
_VISIBLE_WEIGHT = 0.1
_VALIDATION_PICTURES = 600


class MouthReaderConfig(StageConfig):
    """Training of the reader of mouths."""

    pictures: dict[str, Positive]
    """By corpus, the most pictures that are learned from; all of a corpus that is not named."""


class MouthNetwork(nn.Module):
    """Grey mouth regions -> what `MOUTH_SHAPE` names; under 100,000 weights.

    The position of an edge is what matters, so nothing is averaged over space.

    Args:
        mean: float [6], of the training labels.
        spread: float [6], their standard deviations.
    """

    def __init__(self, mean: Tensor, spread: Tensor) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 1
        for outputs, kernel, stride in ((12, 5, 2), (24, 3, 2), (48, 3, 2), (20, 1, 1)):
            layers += [
                nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
            ]
            inputs = outputs
        cells = (REGION // 8) ** 2
        layers += [nn.Flatten(), nn.Linear(inputs * cells, 48), nn.ReLU(), nn.Linear(48, len(mean))]
        self.layers = nn.Sequential(*layers)
        self.mean: Tensor
        self.spread: Tensor
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)

    def forward(self, mouths: Tensor) -> Tensor:
        """[n, 1, 64, 64] in [0, 1] -> [n, 6]; brightness and contrast do not matter."""
        light = mouths.mean(dim=(1, 2, 3), keepdim=True)
        centred = mouths - light
        contrast = centred.square().mean(dim=(1, 2, 3), keepdim=True).sqrt() + 0.02
        found: Tensor = self.layers(centred / contrast) * self.spread + self.mean
        return found


@dataclass(frozen=True)
class TaughtFaces:
    """Aligned faces with what the landmarks say of their mouths.

    Attributes:
        crops: grey uint8 [n, 112, 112].
        shapes: float32 [n, 6]; see `MOUTH_SHAPE`.
        weights: float32 [n], what the lengths of each count.
    """

    crops: NDArray[np.uint8]
    shapes: NDArray[np.float32]
    weights: NDArray[np.float32]


def taught_faces(data: Path, work: Path, part: Part, settings: MouthReaderConfig) -> TaughtFaces:
    """The corpora of faces with their landmarks; each corpus is computed once and kept in `work`.

    Raises:
        AvtError: `data` holds no corpus of faces, or the teacher is not installed.
    """
    crops, shapes, weights = [], [], []
    for faces in face_corpora(data, part):
        limit = settings.pictures.get(faces.corpus, len(faces))
        if part == "validation":
            limit = _VALIDATION_PICTURES
        cache = work / f"mouths_{faces.corpus}_{part}.npz"
        if not cache.is_file():
            write_atomically(cache, _teach(faces, limit))
        with np.load(cache) as kept:
            crops.append(kept["crops"])
            shapes.append(kept["shapes"])
        sure = shapes[-1][:, -1] > _SURE
        weights.append(sure * (_COARSE_WEIGHT if faces.corpus == _COARSE else 1.0))
    return TaughtFaces(
        np.concatenate(crops),
        np.concatenate(shapes),
        np.concatenate(weights).astype(np.float32),
    )


def _teach(faces: Faces, limit: int) -> bytes:
    """The content of a cache: some pictures of a corpus, aligned, and the landmarks' answer."""
    teacher, detector = LandmarkTeacher(), YuNetDetector()
    rows = np.sort(np.random.default_rng(0).permutation(len(faces))[:limit])
    crops, shapes = [], []
    for row in rows.tolist():
        picture = faces.picture(row)
        found = find_faces(picture, detector)
        if not found:
            continue
        face = max(found, key=lambda face: face.area)
        points, logit = teacher.landmarks(picture, face)
        crops.append(cv2.cvtColor(crop_face(picture, face), cv2.COLOR_RGB2GRAY))
        shapes.append([*mouth_shape(points), logit / _VISIBLE_UNIT])
    _log.info("%s: landmarks of %d of %d pictures", faces.corpus, len(crops), len(rows))
    content = io.BytesIO()
    np.savez(content, crops=np.array(crops, np.uint8), shapes=np.array(shapes, np.float32))
    return content.getvalue()


def train_mouth_reader(
    data: Path, work: Path, settings: MouthReaderConfig
) -> tuple[MouthNetwork, dict[str, float]]:
    """Train the reader; a run that was stopped resumes at its last epoch.

    Args:
        data: folder with ferplus/ and faces/.
        work: folder for caches, logs and states.
        settings: from `load_settings`.

    Returns:
        The network, in evaluation mode, and the correlation of each of its answers with the
        landmarks on people (or pictures) that were left out.

    Raises:
        AvtError: as of `taught_faces`.
    """
    train, validation = (taught_faces(data, work, part, settings) for part in _PARTS)
    set_seed(settings.seed)
    sure = train.shapes[train.weights > 0]
    model = MouthNetwork(*(torch.from_numpy(x) for x in (sure.mean(axis=0), sure.std(axis=0))))
    steps = len(train.crops) // settings.batch

    def loss(network: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        mouths, shapes, weights = batch
        errors = (network(mouths) - shapes) / model.spread
        each = F.smooth_l1_loss(errors, torch.zeros_like(errors), reduction="none", beta=0.5)
        lengths = (each[:, :_LENGTHS] * weights[:, None]).mean()
        return lengths + _VISIBLE_WEIGHT * each[:, _LENGTHS].mean()

    batches = partial(_batches, train, settings, steps)
    evaluate = partial(correlations, faces=validation)
    trainer = Trainer(model, work / "mouth_reader", settings, steps)
    scores = trainer.run(batches, loss, evaluate, None)
    return model, {name: scores[name] for name in MOUTH_SHAPE}


_PARTS: tuple[Part, Part] = ("train", "validation")


def load_settings(path: Path = SETTINGS) -> MouthReaderConfig:
    """Read and validate the settings.

    Raises:
        AvtError: the file is missing, is not YAML, or has an unknown key or a value out of range.
    """
    with named_problems(path):
        return MouthReaderConfig.model_validate(read_yaml(path, "the settings"))


def correlations(network: nn.Module, faces: TaughtFaces) -> dict[str, float]:
    """Pearson correlation of each answer with the landmarks, by its name.

    Args:
        network: a `MouthNetwork` in evaluation mode.
        faces: of which those with sure landmarks are measured.
    """
    kept = faces.weights > 0
    mouths = torch.from_numpy(mouth_regions(faces.crops[kept]))
    found = torch.cat([network(part) for part in torch.split(mouths, 128)]).numpy()
    return {
        name: float(np.corrcoef(found[:, column], faces.shapes[kept, column])[0, 1])
        for column, name in enumerate(MOUTH_SHAPE)
    }


def _batches(
    train: TaughtFaces, settings: MouthReaderConfig, steps: int, epoch: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    generator = np.random.default_rng((settings.seed, epoch))
    order = generator.permutation(len(train.crops))
    for step in range(steps):
        rows = order[step * settings.batch : (step + 1) * settings.batch]
        mouths = torch.from_numpy(disturbed(train.crops[rows], generator))
        yield mouths, torch.from_numpy(train.shapes[rows]), torch.from_numpy(train.weights[rows])


def disturbed(crops: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.float32]:
    """Mouth regions as trackers and cameras spoil them, a random change of each.

    Moved by up to 4 pixels, scaled, turned and mirrored, because boxes jitter; of lower
    resolution; under other light, from one side; with noise.

    Args:
        crops: grey uint8 [n, 112, 112].
        generator: of every choice.

    Returns:
        float32 [n, 1, 64, 64], about [0, 1]; the shape of the mouth is the same.
    """
    regions = np.stack([_moved(_coarser(crop, generator), generator) for crop in crops]) / 255.0
    n = len(crops)

    def each(low: float, high: float) -> NDArray[np.float64]:
        return generator.uniform(low, high, (n, 1, 1))

    down, across = np.mgrid[:REGION, :REGION] / REGION - 0.5
    lit = np.clip(regions, 1e-3, 1.0) ** each(0.7, 1.4)
    lit *= 1 + each(-0.5, 0.5) * across + each(-0.3, 0.3) * down
    noisy = (generator.random((n, 1, 1)) < 0.3) * each(0.0, 0.04)
    lit += noisy * generator.standard_normal(lit.shape)
    return lit[:, None].astype(np.float32)


def _coarser(crop: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    """A third of the faces lose detail, down to 28 pixels, as small film faces do."""
    if generator.random() > 0.35:
        return crop
    side = int(generator.integers(28, 72))
    small = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    method = cv2.INTER_LINEAR if generator.random() < 0.5 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(small, (CROP_SIZE, CROP_SIZE), interpolation=method), np.uint8)


def _moved(crop: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    """The mouth region, after a small random similarity and, of every second one, a mirror."""
    angle, scale = generator.uniform(-0.15, 0.15), generator.uniform(0.9, 1.12)
    mirror = generator.choice((-1.0, 1.0))
    turn = scale * np.array(
        [[mirror * np.cos(angle), -np.sin(angle)], [mirror * np.sin(angle), np.cos(angle)]]
    )
    middle = (REGION - 1) / 2
    centre = np.array([REGION_LEFT, REGION_TOP]) + middle + generator.uniform(-4, 4, 2)
    matrix = np.column_stack([turn, centre - turn @ (middle, middle)])
    return np.asarray(
        cv2.warpAffine(
            crop,
            matrix,
            (REGION, REGION),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.uint8,
    )


def export_mouth_reader(network: MouthNetwork, path: Path) -> None:
    """Write the network as ONNX, for `MouthReader`.

    Args:
        network: in evaluation mode.
        path: the file, which appears whole or not at all.
    """
    mouths = torch.zeros(2, 1, REGION, REGION)
    with TemporaryDirectory() as folder:
        graph = Path(folder, path.name)
        torch.onnx.export(
            network,
            (mouths,),
            graph,
            input_names=["mouths"],
            output_names=["shapes"],
            dynamic_axes={"mouths": {0: "faces"}, "shapes": {0: "faces"}},
            dynamo=False,
        )
        write_atomically(path, graph.read_bytes())
