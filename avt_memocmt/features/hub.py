"""Loads `transformers` models from the hub or a local folder, with errors a user can act on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from avt_memocmt.errors import AvtError
from avt_memocmt.features.text_tokenizer import TextTokenizer
from avt_memocmt.pretrained import file_sha256


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
    with readable_errors(f"the encoder {name!r}"):
        model = AutoModel.from_pretrained(
            name, revision=revision, weights_only=True, dtype=torch.float32, **options
        )
    return model.eval()


def load_hub_config(name: str, revision: str | None) -> Any:
    """Load a model's configuration; same arguments and errors as `load_hub_model`."""
    from transformers import AutoConfig

    with readable_errors(f"the encoder {name!r}"):
        return AutoConfig.from_pretrained(name, revision=revision)


def hub_identity(name: str, revision: str | None, config: Any) -> dict[str, str]:
    """Identify the weights of an encoder by the hub's commit or by a folder's SHA-256.

    Args:
        name: a hub id or a local folder.
        revision: the hub commit that was asked for.
        config: of the loaded model; it holds the commit that was found.
    """
    folder = Path(name)
    if not folder.is_dir():
        return {"name": name, "revision": getattr(config, "_commit_hash", None) or revision or ""}
    hashes = [file_sha256(path) for path in sorted(folder.glob("*.safetensors"))]
    return {"name": folder.name, "sha256": "+".join(hashes)}


def load_hub_tokenizer(name: str, revision: str | None) -> TextTokenizer:
    """Load a fast tokenizer; same arguments and errors as `load_hub_model`."""
    from transformers import AutoTokenizer

    with readable_errors(f"the encoder {name!r}"):
        fast: Any = AutoTokenizer.from_pretrained(name, revision=revision, use_fast=True)
    special = [getattr(fast, f"{name}_token_id") for name in ("cls", "sep", "pad", "mask", "unk")]
    return TextTokenizer(fast.backend_tokenizer, special)


@contextmanager
def readable_errors(what: str, folder: str = "written by save_pretrained") -> Iterator[None]:
    """Turn what transformers raises for missing or unsafe files into one sentence.

    Args:
        what: is loaded.
        folder: describes a folder from which it could be.
    """
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, UnpicklingError) as error:
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        raise AvtError(
            f"cannot load {what} ({reason}); give a folder {folder}, or connect to the model hub."
        ) from error
