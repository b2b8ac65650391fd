"""Visual encoders: ResNet or ViT (paper) and this project's face CNN (embedded)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from avt_memocmt.config import EncoderConfig
from avt_memocmt.errors import AvtError
from avt_memocmt.features.base import Tokens
from avt_memocmt.features.face_cnn import FaceCNN, fold_normalisation
from avt_memocmt.features.hub import hub_identity, load_hub_model
from avt_memocmt.preprocessing.video_preprocess_mtcnn import FaceObservation
from avt_memocmt.weights import file_sha256

FACE_CNN = "face-cnn"
FACE_CNN_FILE = "face_cnn.safetensors"
BATCH = 32
"""Faces encoded at once."""

# ITU-R BT.601, as in the JPEG standard and OpenCV: FER+ is grey, video is not.
_LUMA = (0.299, 0.587, 0.114)


class VisualEncoder(nn.Module, ABC):
    """Aligned faces in, one token per face out.

    A token is the mean of the last feature map over its positions, for every encoder: so the map
    carries all that reaches the token, which is what Grad-CAM assumes (Selvaraju et al. 2017).

    Attributes:
        dim: width of a token.
        layers: hidden states concatenated in one token; always 1.
        identity: name, and SHA-256 or revision of the weights.
        side: height and width of the network's input, pixels.
    """

    dim: int
    layers: int = 1
    identity: dict[str, str]
    side: int
    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    @abstractmethod
    def feature_map(self, pixels: Tensor) -> Tensor:
        """The last spatial stage [n, dim, h, w] of what `prepare` made."""

    def forward(self, pixels: Tensor) -> Tensor:
        """One token [n, dim] per face of what `prepare` made; gradients flow to the pixels."""
        return self.feature_map(pixels).mean(dim=(2, 3))

    def prepare(self, crops: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Resize (bilinear, antialiased) and normalise aligned faces of any size.

        The whole crop is kept: centre-cropping as for photographs would cut chin and forehead.

        Args:
            crops: uint8 RGB [height, width, 3] each.

        Returns:
            float32 [n, 3, side, side].
        """
        if not crops:
            return self.mean.new_zeros((0, 3, self.side, self.side))
        faces = torch.cat([self._resized(crop) for crop in crops]).to(self.mean.device)
        return (faces / 255.0 - self.mean) / self.std

    @torch.no_grad()
    def encode(
        self,
        utterances: Sequence[Sequence[FaceObservation]],
        utterance_starts: Sequence[float],
        seconds_per_frame: float,
    ) -> list[Tokens]:
        """Tokens of the faces of each utterance, all utterances' faces batched together.

        Args:
            utterances: the faces of each utterance, in order of time.
            utterance_starts: start of each utterance, seconds in the media.
            seconds_per_frame: how long one face stands for.

        Returns:
            One `Tokens` per utterance with a row per face; spans count from the utterance's start.
        """
        self.eval()
        crops = [face.crop for faces in utterances for face in faces]
        batches = [self(self.prepare(crops[i : i + BATCH])) for i in range(0, len(crops), BATCH)]
        values = torch.cat([self.mean.new_zeros((0, self.dim)), *batches]).float().cpu().numpy()
        tokens, first = [], 0
        for faces, start in zip(utterances, utterance_starts, strict=True):
            rows = values[first : first + len(faces)]
            tokens.append(Tokens(rows, face_spans(faces, start, seconds_per_frame)))
            first += len(faces)
        return tokens

    def _resized(self, crop: NDArray[np.uint8]) -> Tensor:
        pixels = torch.from_numpy(np.ascontiguousarray(crop)).permute(2, 0, 1)[None].float()
        return F.interpolate(
            pixels, (self.side, self.side), mode="bilinear", antialias=True, align_corners=False
        )


def face_spans(
    faces: Sequence[FaceObservation], start: float, seconds_per_frame: float
) -> NDArray[np.float32]:
    """Seconds [faces, 2] that each face stands for, from the utterance's start."""
    times = np.array([face.time - start for face in faces], dtype=np.float32)
    return np.stack([times, times + np.float32(seconds_per_frame)], axis=1)


class FaceCnnEncoder(VisualEncoder):
    """The embedded preset's encoder: RGB faces in [0, 1], turned grey, through `FaceCNN`.

    Attributes:
        network: the face CNN, its batch norms folded; its own head gives the logits of one face.
    """

    def __init__(self, network: FaceCNN, identity: dict[str, str]) -> None:
        super().__init__(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
        self.network = fold_normalisation(network.eval())
        self.identity = identity
        self.dim, self.side = FaceCNN.DIM, FaceCNN.INPUT
        self.luma: Tensor
        self.register_buffer("luma", torch.tensor(_LUMA).view(3, 1, 1), persistent=False)

    def grey(self, pixels: Tensor) -> Tensor:
        """RGB [n, 3, h, w] -> luma [n, 1, h, w]."""
        return (pixels * self.luma).sum(dim=1, keepdim=True)

    def feature_map(self, pixels: Tensor) -> Tensor:
        """The last spatial stage [n, 256, 5, 5] of RGB faces [n, 3, 48, 48] in [0, 1]."""
        return self.network.feature_map(self.grey(pixels))


class HubVisualEncoder(VisualEncoder):
    """A ResNet or ViT of the `transformers` library.

    A ViT's token is the mean of its patch tokens (not the class token, which its last layer's patch
    tokens no longer reach).

    Args:
        name: a hub id or a local folder written by `save_pretrained`, with the image processor's
            preprocessor_config.json.
        revision: the hub commit; unused by folders.

    Raises:
        AvtError: the weights or the processor's settings cannot be loaded, or the network is
            neither a ResNet nor a ViT.
    """

    def __init__(self, name: str, revision: str | None = None) -> None:
        settings = _processor_settings(name, revision)
        super().__init__(settings["image_mean"], settings["image_std"])
        self.network = load_hub_model(name, revision, use_safetensors=True)
        config = self.network.config
        if config.model_type == "resnet":
            self.dim, self.side = config.hidden_sizes[-1], _input_side(settings, name)
        elif config.model_type == "vit":
            self.dim, self.side = config.hidden_size, config.image_size
        else:
            raise AvtError(f"the encoder {name!r} is a {config.model_type}; give a ResNet or ViT.")
        self.identity = hub_identity(name, revision, config)

    def feature_map(self, pixels: Tensor) -> Tensor:
        """The last spatial stage [n, dim, h, w]; of a ViT the patch tokens as a grid."""
        hidden: Tensor = self.network(pixels).last_hidden_state
        if hidden.ndim == 4:
            return hidden
        cells = self.side // self.network.config.patch_size
        return hidden[:, 1:].transpose(1, 2).reshape(-1, self.dim, cells, cells)


def make_visual_encoder(config: EncoderConfig, checkpoint: Path | None = None) -> VisualEncoder:
    """Build the visual encoder a config names.

    Args:
        config: its name is "face-cnn" (embedded), or a hub id or folder.
        checkpoint: folder that holds `face_cnn.safetensors`; needed by "face-cnn" alone.

    Raises:
        AvtError: weights are missing or belong to another network.
    """
    if config.name != FACE_CNN:
        return HubVisualEncoder(config.name, config.revision)
    if checkpoint is None:
        raise AvtError("the face-cnn encoder comes with a checkpoint; give a checkpoint folder.")
    path = checkpoint / FACE_CNN_FILE
    if not path.is_file():
        raise AvtError(f"the checkpoint lacks {path}; give a complete checkpoint folder.")
    network = FaceCNN()
    try:
        network.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    except (RuntimeError, SafetensorError) as error:
        raise AvtError(
            f"{path} does not hold the face CNN's weights; train it again or restore the file."
        ) from error
    return FaceCnnEncoder(network, {"name": FACE_CNN, "sha256": file_sha256(path)})


def _processor_settings(name: str, revision: str | None) -> dict[str, Any]:
    """The image processor's settings, read without building it (that may need torchvision)."""
    from transformers.image_processing_base import ImageProcessingMixin

    try:
        settings, _ = ImageProcessingMixin.get_image_processor_dict(name, revision=revision)
    except (OSError, ValueError) as error:
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        raise AvtError(
            f"cannot load the image settings of the encoder {name!r} ({reason}); give a folder "
            "with its preprocessor_config.json, or connect to the model hub."
        ) from error
    missing = {"image_mean", "image_std", "size"} - settings.keys()
    if missing:
        raise AvtError(f"preprocessor_config.json of {name!r} lacks {', '.join(sorted(missing))}.")
    return dict(settings)


def _input_side(settings: Mapping[str, Any], name: str) -> int:
    """Side of the square input; processors write it as a number or under one of two names."""
    size = settings["size"]
    side = size if isinstance(size, int) else size.get("shortest_edge", size.get("height"))
    if not isinstance(side, int):
        raise AvtError(f"preprocessor_config.json of {name!r} has a size that is not understood.")
    return side
