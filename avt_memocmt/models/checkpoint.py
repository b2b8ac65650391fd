"""A checkpoint folder: the config, a network's weights, and the weights of encoders we trained."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save, save_file
from torch import Tensor, nn

from avt_memocmt.config import Config, TokenShape
from avt_memocmt.config_file import load_config, save_config
from avt_memocmt.errors import AvtError
from avt_memocmt.features.face_cnn import FaceCNN
from avt_memocmt.files import writable_folder, write_atomically
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.models.baselines import AudioTextMemoCmt, LateFusion, TextOnly
from avt_memocmt.models.model_card import model_card
from avt_memocmt.models.prediction import DialogueNetwork
from avt_memocmt.pretrained import CHECKPOINTS

MODEL_FILE = "model.safetensors"
CONFIG_FILE = "config.yaml"
METRICS_FILE = "metrics.json"
CARD_FILE = "README.md"

_EMBEDDED_SHAPES = {
    "whisper-tiny.en": TokenShape(384, 5),
    "face-cnn": TokenShape(FaceCNN.DIM),
    "minilm-l6": TokenShape(384),
}


def token_shapes(config: Config) -> dict[str, TokenShape]:
    """What a token of each modality that the network hears holds.

    That is what `config.features` says of the modality, or else what the configured encoder yields;
    its weights are not loaded.

    Raises:
        AvtError: a hub encoder's configuration cannot be read.
    """
    encoders = {
        "audio": config.audio.encoder,
        "visual": config.visual.encoder,
        "text": config.text.encoder,
    }
    shapes: dict[str, TokenShape] = {}
    for modality in config.model.modalities:
        stored = (config.features or {}).get(modality)
        if stored is not None:
            shapes[modality] = stored
        else:
            encoder = encoders[modality]
            shapes[modality] = _encoder_shape(encoder.name, encoder.revision)
    return shapes


def token_dims(config: Config) -> dict[str, int]:
    """Width of a whole token (all its layers) of each modality that the network hears."""
    return {m: shape.width for m, shape in token_shapes(config).items()}


def build_model(config: Config) -> DialogueNetwork:
    """A network with random weights, of the kind and for the modalities that the config names.

    Raises:
        AvtError: the kind needs a modality that `model.modalities` leaves out.
    """
    kind = config.model.kind
    needed = _NEEDED.get(kind, ())
    missing = [m for m in needed if m not in config.model.modalities]
    if missing:
        raise AvtError(
            f"the network {kind} needs {' and '.join(needed)}, but model.modalities leaves out "
            f"{' and '.join(missing)}; add it there, or choose another model.kind."
        )
    shapes = token_shapes(config)
    if kind == "text-only":
        return TextOnly(shapes["text"], config.model)
    if kind == "audio-text-memocmt":
        return AudioTextMemoCmt(shapes, config.model)
    if kind == "avt-late-fusion":
        return LateFusion(shapes, config.model)
    return AvtMemoCmt(shapes, config.model)


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


def load_model(folder: Path) -> tuple[DialogueNetwork, Config]:
    """Load the network of a checkpoint folder, in evaluation mode.

    Raises:
        AvtError: the weights are missing, damaged, or belong to another configuration, or the
            checkpoint predicts other labels.
    """
    config = load_config(folder / CONFIG_FILE)
    model = build_model(config)
    path = folder / MODEL_FILE
    try:
        tensors = {name: tensor.float() for name, tensor in load_file(path).items()}
        model.load_state_dict(tensors, assign=True)
    except (OSError, SafetensorError) as error:
        raise AvtError(f"{path} is missing or damaged; give a complete checkpoint.") from error
    except RuntimeError as error:
        raise AvtError(
            f"{path} does not fit {folder / CONFIG_FILE}; give a checkpoint whose weights "
            "and configuration were written together."
        ) from error
    return model.eval(), config


def load_media_model(folder: Path) -> tuple[AvtMemoCmt, Config]:
    """Load a network that can follow media turn by turn: AVT-MemoCMT on tokens of encoders.

    Raises:
        AvtError: the checkpoint holds a baseline, or was trained on named measurements, which no
            encoder yields; or as in `load_model`.
    """
    model, config = load_model(folder)
    named = [m for m, shape in token_shapes(config).items() if shape.names is not None]
    if not isinstance(model, AvtMemoCmt) or named:
        reason = f"reads imported {' and '.join(named)} values" if named else config.model.kind
        raise AvtError(
            f"{folder} cannot read media ({reason}); measure it on its features with avt-memocmt "
            "evaluate --features, or give another checkpoint."
        )
    return model, config


def save_checkpoint(
    folder: Path,
    model: DialogueNetwork,
    config: Config,
    metrics: Mapping[str, Any],
    encoders: Mapping[str, Mapping[str, Tensor]] | None = None,
) -> None:
    """Write a checkpoint folder with a model card; each file appears whole or not at all.

    Parameters are stored in half precision, statistics in single.

    Args:
        folder: created where it is missing.
        model: from `build_model(config)`.
        config: everything that `load_model` needs.
        metrics: "model" (a name), "seed", "selection" (how the weights were chosen), "data", and
            figures by the part they were measured on.
        encoders: file name -> tensors of encoders that were trained along, written as they are.

    Raises:
        AvtError: the folder cannot be written.
    """
    writable_folder(folder)
    halves = {name: value.detach().half() for name, value in model.named_parameters()}
    write_tensors(folder / MODEL_FILE, {**model.state_dict(), **halves})
    for name, tensors in (encoders or {}).items():
        write_tensors(folder / name, tensors)
    figures = json.dumps(metrics, indent=2) + "\n"
    write_atomically(folder / CARD_FILE, model_card(model, config, metrics).encode())
    write_atomically(folder / METRICS_FILE, figures.encode())
    save_config(config, folder / CONFIG_FILE)


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write safetensors, whole or not at all."""
    ready = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    write_atomically(path, save(ready))


_NEEDED = {"text-only": ("text",), "audio-text-memocmt": ("audio", "text")}


def _encoder_shape(name: str, revision: str | None) -> TokenShape:
    if name in _EMBEDDED_SHAPES:
        return _EMBEDDED_SHAPES[name]
    from avt_memocmt.features.hub import load_hub_config

    hub = load_hub_config(name, revision)
    width = getattr(hub, "hidden_size", None) or hub.hidden_sizes[-1]
    return TokenShape(int(width))


def save_tensors(tensors: dict[str, Tensor], path: Path, dtype: torch.dtype | None = None) -> None:
    """Write safetensors by atomic rename; floating-point tensors become `dtype` where given."""
    ready = {
        name: (value.to(dtype) if dtype and value.is_floating_point() else value)
        .detach()
        .cpu()
        .contiguous()
        .clone()
        for name, value in tensors.items()
    }
    partial = path.with_suffix(path.suffix + ".part")
    save_file(ready, partial)
    os.replace(partial, path)


def load_into(model: nn.Module, path: Path) -> None:
    """Load safetensors of any float type into a model of the same structure."""
    model.load_state_dict(
        {
            name: value.float() if value.is_floating_point() else value
            for name, value in load_file(path).items()
        }
    )
