"""Loading `transformers` models from the hub or a local folder, with errors a user can act on."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from avt_memocmt.errors import AvtError
from avt_memocmt.weights import file_sha256


def load_hub_model(name: str, revision: str | None, **options: Any) -> Any:
    """Load an encoder with `AutoModel` in evaluation mode and fp32.

    Safetensors are preferred. HuBERT-base and wav2vec2-base are published as a PyTorch file only,
    which is read with `weights_only=True`: tensors, no code.

    Args:
        name: a hub id or a local folder written by `save_pretrained`.
        revision: the hub commit; ignored for folders.
        options: passed on to the model's configuration.

    Raises:
        AvtError: the hub cannot be reached, the folder is incomplete, or its weights are damaged or
            hold more than tensors.
    """
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    with _ReadableErrors(name):
        model = AutoModel.from_pretrained(
            name, revision=revision, weights_only=True, dtype=torch.float32, **options
        )
    return model.eval()


def load_hub_tokenizer(name: str, revision: str | None) -> Any:
    """Load a fast tokenizer; same arguments and errors as `load_hub_model`."""
    from transformers import AutoTokenizer

    with _ReadableErrors(name):
        return AutoTokenizer.from_pretrained(name, revision=revision, use_fast=True)


def load_hub_config(name: str, revision: str | None) -> Any:
    """Load a model's configuration; same arguments and errors as `load_hub_model`."""
    from transformers import AutoConfig

    with _ReadableErrors(name):
        return AutoConfig.from_pretrained(name, revision=revision)


def hub_identity(name: str, revision: str | None, config: Any) -> dict[str, str]:
    """What names the weights of an encoder: the hub's commit, or a folder's SHA-256.

    Args:
        name: a hub id or a local folder.
        revision: that was asked for.
        config: of the loaded model, which knows the hub's commit.
    """
    folder = Path(name)
    if not folder.is_dir():
        return {"name": name, "revision": getattr(config, "_commit_hash", None) or revision or ""}
    hashes = [file_sha256(path) for path in sorted(folder.glob("*.safetensors"))]
    return {"name": folder.name, "sha256": "+".join(hashes)}


class _ReadableErrors:
    """Turns what transformers raises for missing or unsafe weights into one sentence."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (OSError, ValueError, KeyError, RuntimeError, UnpicklingError)):
            reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
            raise AvtError(
                f"cannot load the encoder {self.name!r} ({reason}); give a folder written by "
                "save_pretrained, or connect to the model hub."
            ) from error
