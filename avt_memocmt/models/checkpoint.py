"""A checkpoint folder: the config, the fusion's weights, and the weights of encoders we trained."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from avt_memocmt.config import Config, load_config
from avt_memocmt.errors import AvtError
from avt_memocmt.features.face_cnn import FaceCNN
from avt_memocmt.models.avt_memocmt import AvtMemoCmt, TokenShape
from avt_memocmt.weights import CHECKPOINTS

MODEL_FILE = "model.safetensors"
CONFIG_FILE = "config.yaml"
METRICS_FILE = "metrics.json"

_EMBEDDED_SHAPES = {
    "whisper-tiny.en": TokenShape(384, 5),
    "face-cnn": TokenShape(FaceCNN.DIM),
    "minilm-l6": TokenShape(384),
}


def token_shapes(config: Config) -> dict[str, TokenShape]:
    """What a token of each configured encoder holds, without loading its weights.

    Raises:
        AvtError: a hub encoder's configuration cannot be read.
    """
    names = {
        "audio": config.audio.encoder,
        "visual": config.visual.encoder,
        "text": config.text.encoder,
    }
    return {modality: _shape(e.name, e.revision) for modality, e in names.items()}


def token_dims(config: Config) -> dict[str, int]:
    """Width of a whole token (all its layers) of each modality."""
    return {m: shape.dim * shape.layers for m, shape in token_shapes(config).items()}


def build_model(config: Config) -> AvtMemoCmt:
    """A model with random weights for this config."""
    return AvtMemoCmt(token_shapes(config), config.model)


def checkpoint_folder(name_or_path: str | Path) -> Path:
    """Folder of a checkpoint: a shipped one by name ("embedded"), or any folder.

    Raises:
        AvtError: neither exists.
    """
    for folder in (CHECKPOINTS / str(name_or_path), Path(name_or_path)):
        if (folder / CONFIG_FILE).is_file():
            return folder
    raise AvtError(
        f"{name_or_path} is no checkpoint: a folder with {CONFIG_FILE} and {MODEL_FILE} is needed, "
        "or the name of the shipped one, embedded."
    )


def load_model(folder: Path) -> tuple[AvtMemoCmt, Config]:
    """Load the fusion network of a checkpoint folder, in evaluation mode.

    Raises:
        AvtError: the weights are missing, damaged, or belong to another configuration.
    """
    config = load_config(folder / CONFIG_FILE)
    model = build_model(config)
    path = folder / MODEL_FILE
    try:
        tensors = {name: tensor.float() for name, tensor in load_file(path).items()}
        model.load_state_dict(tensors)
    except (OSError, SafetensorError) as error:
        raise AvtError(f"{path} is missing or damaged; give a complete checkpoint.") from error
    except RuntimeError as error:
        raise AvtError(
            f"{path} does not fit {folder / CONFIG_FILE}; give a checkpoint whose weights "
            "and configuration were written together."
        ) from error
    return model.eval(), config


def _shape(name: str, revision: str | None) -> TokenShape:
    if name in _EMBEDDED_SHAPES:
        return _EMBEDDED_SHAPES[name]
    from avt_memocmt.features.hub import load_hub_config

    hub = load_hub_config(name, revision)
    width = getattr(hub, "hidden_size", None) or hub.hidden_sizes[-1]
    return TokenShape(int(width))
