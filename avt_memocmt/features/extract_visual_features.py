"""Visual encoders: ResNet or ViT (paper) and this project's face CNN (embedded)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from avt_memocmt.as_program import run_command
from avt_memocmt.config import EncoderConfig
from avt_memocmt.errors import AvtError
from avt_memocmt.features.face_cnn import FaceCNN, fold_normalisation
from avt_memocmt.features.hub import hub_identity, load_hub_model, readable_errors
from avt_memocmt.features.visual_encoder import VisualEncoder
from avt_memocmt.pretrained import file_sha256

FACE_CNN = "face-cnn"
FACE_CNN_FILE = "face_cnn.safetensors"


class FaceCnnEncoder(VisualEncoder):
    """The embedded preset's encoder: RGB faces in [0, 1] through `FaceCNN`.

    Attributes:
        network: the face CNN, its batch norms folded; its own head gives the logits of one face.
    """

    def __init__(self, network: FaceCNN, identity: dict[str, str]) -> None:
        super().__init__(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
        self.network = fold_normalisation(network.eval())
        self.identity = identity
        self.dim, self.side = FaceCNN.DIM, FaceCNN.INPUT

    def feature_map(self, pixels: Tensor) -> Tensor:
        """The last spatial stage [n, 256, 7, 7] of RGB faces [n, 3, 112, 112] in [0, 1]."""
        return self.network.feature_map(pixels)


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

    what = f"the image settings of the encoder {name!r}"
    with readable_errors(what, "with its preprocessor_config.json"):
        settings, _ = ImageProcessingMixin.get_image_processor_dict(name, revision=revision)
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


if __name__ == "__main__":
    run_command("features", "visual")
