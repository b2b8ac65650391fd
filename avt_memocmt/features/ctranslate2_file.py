"""Reads tensors from a CTranslate2 model file, which is not trusted: every size is checked.

CTranslate2 itself gives no access to the tensors of a model.
"""

from __future__ import annotations

import math
import struct
from mmap import ACCESS_READ, mmap
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.errors import AvtError

_DTYPES = {0: "<f4", 1: "<i1", 2: "<i2", 3: "<i4", 4: "<f2"}

_BLOCK_NAMES = {
    "attention_norm": "self_attention/layer_norm",
    "qkv": "self_attention/linear_0",
    "out": "self_attention/linear_1",
    "feed_forward_norm": "ffn/layer_norm",
    "expand": "ffn/linear_0",
    "contract": "ffn/linear_1",
}


def read_ctranslate2(path: Path, prefix: str) -> dict[str, NDArray[np.generic]]:
    """Variables of a CTranslate2 model file (binary version 6) whose names start with `prefix`.

    Raises:
        AvtError: the file cannot be read, or is cut short or malformed.
    """
    try:
        with path.open("rb") as file:
            data = mmap(file.fileno(), 0, access=ACCESS_READ)
        return _Reader(memoryview(data)).variables(prefix)
    except OSError as error:
        raise AvtError(f"cannot read {path}: {error.strerror}.") from error
    except ValueError as error:
        raise AvtError(f"{path} is not a valid CTranslate2 model: {error}.") from error


def whisper_variable(name: str) -> str:
    """CTranslate2's name of a parameter of `whisper_encoder.WhisperTinyEncoder`."""
    if name == "positions":
        return "encoder/position_encodings/encodings"
    *modules, leaf = name.split(".")
    if modules[0] == "blocks":
        modules = [f"layer_{modules[1]}", _BLOCK_NAMES[modules[2]]]
    elif modules[0] == "norm":
        modules = ["layer_norm"]
    if modules[-1].endswith("layer_norm"):
        leaf = {"weight": "gamma", "bias": "beta"}[leaf]
    return "/".join(["encoder", *modules, leaf])


class _Reader:
    """Little-endian fields, each checked against what is left of the file."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.place = 0

    def variables(self, prefix: str) -> dict[str, NDArray[np.generic]]:
        version = self._number("<I")
        if version != 6:
            raise ValueError(f"its format version is {version}, not 6")
        self._string()  # the kind of model
        self._number("<I")  # and its revision
        found = {}
        for _ in range(self._number("<I")):
            name = self._string()
            shape = [self._number("<I") for _ in range(self._number("<B"))]
            kind, length = self._number("<B"), self._number("<I")
            dtype = _DTYPES.get(kind)
            if dtype is None or math.prod(shape) * np.dtype(dtype).itemsize != length:
                raise ValueError(f"the size of its variable {name!r} is inconsistent")
            content = self._bytes(length)
            if name.startswith(prefix):
                found[name] = np.frombuffer(content, dtype).reshape(shape)
        return found

    def _bytes(self, length: int) -> memoryview:
        self.place += length
        if self.place > len(self.data):
            raise ValueError("it ends early")
        return self.data[self.place - length : self.place]

    def _number(self, layout: str) -> int:
        return int(struct.unpack(layout, self._bytes(struct.calcsize(layout)))[0])

    def _string(self) -> str:
        raw = bytes(self._bytes(self._number("<H")))
        if not raw.endswith(b"\0"):
            raise ValueError("one of its names does not end")
        return raw[:-1].decode("ascii")
