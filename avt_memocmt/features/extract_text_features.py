"""Loads text encoders: BERT, DeBERTa (paper), the fine-tuned MiniLM (embedded) and MPNet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import nn

from avt_memocmt.as_program import run_command
from avt_memocmt.config import TextConfig
from avt_memocmt.errors import AvtError
from avt_memocmt.features.hub import hub_identity, load_hub_model, load_hub_tokenizer
from avt_memocmt.features.minilm import load_minilm
from avt_memocmt.features.mpnet import ARCHIVE_SHA256, MPNET, load_mpnet, mpnet_tokenizer
from avt_memocmt.features.text_encoder import POOLER, WORD_EMBEDDINGS, TextEncoder
from avt_memocmt.features.text_tokenizer import TextTokenizer
from avt_memocmt.pretrained import file_sha256, packaged_path, packaged_tokenizer

MINILM = "minilm-l6"
_SPECIAL = ("CLS", "SEP", "PAD", "MASK", "UNK")
TEXT_ENCODER_FILE = "text_encoder.safetensors"


def make_text_encoder(config: TextConfig, checkpoint: Path | None = None) -> TextEncoder:
    """Build the text encoder a config names.

    Args:
        config: its `encoder.name` is "minilm-l6" or "mpnet-base" (both in packages), or a hub id or
            a folder.
        checkpoint: folder with the weights that a config with `fine_tuned` asks for, or None for
            the weights as they come.

    Raises:
        AvtError: weights are missing or not the pinned ones.
    """
    name, revision = config.encoder.name, config.encoder.revision
    model: Any
    if name == MINILM:
        model = load_minilm()
        identity = {"name": name, "sha256": file_sha256(packaged_path(name))}
    elif name == MPNET:
        model = load_mpnet()
        identity = {"name": name, "sha256": ARCHIVE_SHA256}
    else:
        model = load_hub_model(name, revision)
        identity = hub_identity(name, revision, model.config)
    tokenizer = load_text_tokenizer(config)
    if checkpoint is not None and config.fine_tuned:
        tuned = checkpoint / TEXT_ENCODER_FILE
        load_tuned(model, tuned)
        identity["tuned_sha256"] = file_sha256(tuned)
    return TextEncoder(model, tokenizer, config, identity)


def load_text_tokenizer(config: TextConfig) -> TextTokenizer:
    """The tokenizer of the text encoder a config names, without its weights.

    Raises:
        AvtError: it cannot be loaded.
    """
    name, revision = config.encoder.name, config.encoder.revision
    if name == MPNET:
        return mpnet_tokenizer()
    if name != MINILM:
        return load_hub_tokenizer(name, revision)
    tokenizer = packaged_tokenizer(name)
    special = [tokenizer.token_to_id(f"[{piece}]") for piece in _SPECIAL]
    return TextTokenizer(tokenizer, special)


def load_tuned(model: nn.Module, path: Path) -> None:
    """Load fine-tuned weights, which leave out the frozen word embeddings, into their model.

    Raises:
        AvtError: the file is missing or belongs to another network.
    """
    if not path.is_file():
        raise AvtError(f"the checkpoint lacks {path}; give a complete checkpoint folder.")
    held = load_file(path).items()
    tensors = {name: value.float() for name, value in held if not name.startswith(POOLER)}
    try:
        missing, unexpected = model.load_state_dict(tensors, strict=False, assign=True)
    except RuntimeError as error:
        raise AvtError(f"{path} does not fit the text encoder: {error}".splitlines()[0]) from error
    left = [n for n in missing if n != WORD_EMBEDDINGS and not n.startswith(POOLER)]
    if left or unexpected:
        raise AvtError(f"{path} is not a checkpoint of this text encoder (tensors differ).")


if __name__ == "__main__":
    run_command("features", "text")
