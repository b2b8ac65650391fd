"""A checkpoint folder: configuration, weights of the network, and of encoders trained with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from avt_memocmt.config import Config, EncoderConfig, TokenShape
from avt_memocmt.config_file import load_config, save_config
from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.errors import AvtError
from avt_memocmt.features.face_cnn import FaceCNN
from avt_memocmt.files import writable_folder, write_atomically
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.models.baselines import AudioTextMemoCmt, LateFusion, TextOnly
from avt_memocmt.models.d2gnn import D2gnn
from avt_memocmt.models.mist import Mist
from avt_memocmt.models.prediction import DialogueNetwork
from avt_memocmt.pretrained import CHECKPOINTS

MODEL_FILE = "model.safetensors"
CONFIG_FILE = "config.yaml"
METRICS_FILE = "metrics.json"
CARD_FILE = "README.md"
HUB = "hf://"
"""Begins the name of a repository of the hub, so that a mistyped path is never looked for there."""

_EMBEDDED_SHAPES = {
    "whisper-tiny.en": TokenShape(384, 5),
    "face-cnn": TokenShape(FaceCNN.DIM),
    "minilm-l6": TokenShape(384),
    "mpnet-base": TokenShape(768),
}
_KINDS: dict[str, type[AvtMemoCmt | TextOnly | AudioTextMemoCmt | LateFusion | Mist | D2gnn]] = {
    "avt-memocmt": AvtMemoCmt,
    "text-only": TextOnly,
    "audio-text-memocmt": AudioTextMemoCmt,
    "avt-late-fusion": LateFusion,
    "mist": Mist,
    "d2gnn": D2gnn,
}


def token_shapes(config: Config) -> dict[str, TokenShape]:
    """Shape of a token of each modality that the network reads.

    It is taken from `config.features`, or else from the configured encoder, whose weights are not
    loaded.

    Raises:
        AvtError: a hub encoder's configuration cannot be read.
    """
    stored = config.features or {}
    heard = config.model.modalities
    return {m: stored.get(m) or _shape(getattr(config, m).encoder) for m in heard}


def token_dims(config: Config) -> dict[str, int]:
    """Width of a token, all its layers together, of each modality that the network reads."""
    return {m: shape.width for m, shape in token_shapes(config).items()}


def build_model(config: Config) -> DialogueNetwork:
    """Return a network with random weights, of the configured kind and modalities.

    Raises:
        AvtError: the kind needs a modality that `model.modalities` leaves out, or has no head for
            the sentiment that is asked for.
    """
    kind = _KINDS[config.model.kind]
    missing = [m for m in kind.needed if m not in config.model.modalities]
    if missing:
        raise AvtError(
            f"the network {config.model.kind} needs {' and '.join(kind.needed)}, but "
            f"model.modalities leaves out {' and '.join(missing)}; add it there, or choose another "
            "model.kind."
        )
    network = kind(token_shapes(config), config.model, len(config.labels))
    if config.training.sentiment_weight:
        if not isinstance(network, AvtMemoCmt):
            raise AvtError(
                f"training.sentiment_weight needs the network avt-memocmt, and {config.model.kind} "
                "has no head for the sentiment; set it to 0."
            )
        network.add_sentiment_head(config.model.dropout)
    return network


def checkpoint_folder(name_or_path: str | Path) -> Path:
    """Find the folder of a checkpoint.

    Args:
        name_or_path: the name of the shipped one, "embedded"; any folder; or a repository of the
            hub as `avt-memocmt push` writes it, "hf://user/name" or "hf://user/name@revision",
            which is downloaded once.

    Raises:
        AvtError: there is none, or the hub's cannot be had.
    """
    for folder in (CHECKPOINTS / str(name_or_path), Path(name_or_path)):
        if (folder / CONFIG_FILE).is_file():
            return folder
    if str(name_or_path).startswith(HUB):
        from avt_memocmt.models.hub import download_checkpoint

        repository, _, revision = str(name_or_path).removeprefix(HUB).partition("@")
        return download_checkpoint(repository, revision or None)
    raise AvtError(
        f"{name_or_path} is no checkpoint: a folder with {CONFIG_FILE} and {MODEL_FILE} is needed, "
        f"the name of the shipped one, embedded, or a repository of the hub, as {HUB}user/name."
    )


def load_model(folder: Path) -> tuple[DialogueNetwork, Config]:
    """Load the network of a checkpoint folder, in evaluation mode.

    Raises:
        AvtError: the weights are missing, damaged, or belong to another configuration.
    """
    path = folder / MODEL_FILE
    try:
        config = load_config(folder / CONFIG_FILE)
    except AvtError as error:
        problem = str(error).removesuffix(".")
        raise AvtError(f"{problem}; give a checkpoint written by this version.") from error
    model = build_model(config)
    try:
        model.load_state_dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise AvtError(f"{path} is missing or damaged; give a complete checkpoint.") from error
    except RuntimeError as error:
        raise AvtError(
            f"{path} does not fit {folder / CONFIG_FILE}; give a checkpoint whose weights "
            "and configuration were written together, by this version, or train it again."
        ) from error
    return model.eval(), config


def load_media_model(folder: Path) -> tuple[AvtMemoCmt, Config]:
    """Load a network that can follow media turn by turn: AVT-MemoCMT on tokens of encoders.

    Raises:
        AvtError: the checkpoint holds a baseline, was trained on named measurements, which no
            encoder yields, or tells other classes apart than `EMOTIONS`; or as in `load_model`.
    """
    model, config = load_model(folder)
    require_emotions(folder, config)
    named = [m for m, shape in token_shapes(config).items() if shape.names is not None]
    if not isinstance(model, AvtMemoCmt) or named:
        reason = f"reads imported {' and '.join(named)} values" if named else config.model.kind
        raise AvtError(
            f"{folder} cannot read media ({reason}); measure it on its features with avt-memocmt "
            "evaluate --features, or give another checkpoint."
        )
    return model, config


def require_emotions(folder: Path, config: Config) -> None:
    """Refuse a checkpoint that tells other classes apart than `EMOTIONS`.

    Predictions, pages and exports know these alone.

    Raises:
        AvtError: it does.
    """
    if config.labels != EMOTIONS:
        raise AvtError(
            f"{folder} tells {', '.join(config.labels)} apart, and predictions and explanations "
            f"are of {', '.join(EMOTIONS)} alone; measure it on its features with avt-memocmt "
            "evaluate --features, or give another checkpoint."
        )


def save_checkpoint(
    folder: Path,
    model: DialogueNetwork,
    config: Config,
    metrics: Mapping[str, Any],
    encoders: Mapping[str, Mapping[str, Tensor]] | None = None,
) -> None:
    """Write a checkpoint folder with a model card; each file appears whole or not at all.

    Args:
        folder: created where it is missing.
        model: from `build_model(config)`.
        config: everything that `load_model` needs.
        metrics: "model" (a name), "seed", "selection" (how the weights were chosen), "data", and
            figures by the part they were measured on.
        encoders: file name -> tensors of encoders that were trained with it, written as they are.

    Raises:
        AvtError: the folder cannot be written.
    """
    from avt_memocmt.models.model_card import model_card  # its library is not needed to load

    writable_folder(folder)
    save_tensors(in_half_precision(model), folder / MODEL_FILE)
    for name, tensors in (encoders or {}).items():
        save_tensors(tensors, folder / name)
    figures = json.dumps(metrics, indent=2) + "\n"
    write_atomically(folder / CARD_FILE, model_card(model, config, metrics).encode())
    write_atomically(folder / METRICS_FILE, figures.encode())
    save_config(config, folder / CONFIG_FILE)


def read_metrics(folder: Path) -> dict[str, Any]:
    """The metrics of a checkpoint folder; empty where there are none.

    Raises:
        AvtError: it is damaged.
    """
    path = folder / METRICS_FILE
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AvtError(f"{path} is damaged; give a complete checkpoint.") from error
    return found if isinstance(found, dict) else {}


def in_half_precision(model: nn.Module) -> dict[str, Tensor]:
    """Return all tensors of a model: parameters in half precision, fitted statistics in single."""
    halves = {name: value.detach().half() for name, value in model.named_parameters()}
    return {**model.state_dict(), **halves}


def save_tensors(
    tensors: Mapping[str, Tensor], path: Path, dtype: torch.dtype | None = None
) -> None:
    """Write safetensors, whole or not at all; floating-point tensors become `dtype` if given."""
    kept = {n: x.to(dtype) if dtype and x.is_floating_point() else x for n, x in tensors.items()}
    write_atomically(path, save({n: x.detach().cpu().contiguous() for n, x in kept.items()}))


def _shape(encoder: EncoderConfig) -> TokenShape:
    if encoder.name in _EMBEDDED_SHAPES:
        return _EMBEDDED_SHAPES[encoder.name]
    from avt_memocmt.features.hub import load_hub_config

    hub = load_hub_config(encoder.name, encoder.revision)
    width = getattr(hub, "hidden_size", None) or hub.hidden_sizes[-1]
    return TokenShape(int(width))
