"""Loading `transformers` models from the hub or a local folder, with errors a user can act on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from avt_memocmt.errors import AvtError
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
    with _ReadableErrors(name):
        model = AutoModel.from_pretrained(
            name, revision=revision, weights_only=True, dtype=torch.float32, **options
        )
    return model.eval()


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


class HubTokenizer:
    """A fast tokenizer of the `transformers` library, as a text encoder uses it.

    Args:
        name: a hub id or a local folder written by `save_pretrained`.
        revision: the hub commit; ignored for folders.

    Raises:
        AvtError: as in `load_hub_model`.
    """

    def __init__(self, name: str, revision: str | None) -> None:
        from transformers import AutoTokenizer

        with _ReadableErrors(name):
            self._tokenizer: Any = AutoTokenizer.from_pretrained(
                name, revision=revision, use_fast=True
            )
        self.cls_token_id = int(self._tokenizer.cls_token_id)
        self.sep_token_id = int(self._tokenizer.sep_token_id)
        self.pad_token_id: int | None = self._tokenizer.pad_token_id
        self.mask_token_id: int | None = self._tokenizer.mask_token_id

    def pieces(self, words: Sequence[str]) -> tuple[list[int], list[int]]:
        """Ids of the word pieces of some words, and the index of each one's word."""
        if not words:
            return [], []
        found = self._tokenizer(list(words), is_split_into_words=True, add_special_tokens=False)
        return list(found["input_ids"]), list(found.word_ids())

    def ids(self, text: str) -> list[int]:
        """Ids of the word pieces of a text, without special ones."""
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])


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
