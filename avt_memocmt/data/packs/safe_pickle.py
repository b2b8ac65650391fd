"""Reads pickles of strangers: data only, nothing they say is run.

The pickle is read by `unpickler` in a child process with limited memory and time, so that neither a
file made to fill the memory nor one that crashes the interpreter reaches this process. From there
come JSON and raw bytes, of which the arrays and tensors are made here.
"""

from __future__ import annotations

import io
import json
import math
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from avt_memocmt.data.packs import unpickler
from avt_memocmt.errors import AvtError

_SECONDS, _SECONDS_PER_BYTE = 60, 1e-6
"""Time for any pickle, and for each of its bytes; reading takes less than half of that."""


def load_pickle(path: Path) -> Any:
    """Read a pickle of containers, text, numbers, NumPy arrays and torch tensors.

    Byte strings of Python 2 are read as Latin-1. Objects may be shared or contain themselves, so a
    caller bounds what it walks over. Arrays cannot be written to.

    Raises:
        AvtError: the file cannot be read, is damaged, asks for anything else (which is named), or
            for more memory or time than its size accounts for.
    """
    try:
        header, raw = _unpickle(path)
        if "error" in header:
            raise ValueError(header["error"])
        return _Builder(header["nodes"], raw).value(header["root"])
    except (ValueError, TypeError, RuntimeError, OverflowError, MemoryError) as error:
        raise AvtError(
            f"{path} is refused or damaged: {error}; a pack may hold only containers, text, "
            "numbers, NumPy arrays and torch tensors, so save it again as those, or get it again."
        ) from error


def load_tensors(source: Path | BinaryIO) -> Any:
    """What torch's own restricted reader finds in a file of torch, in either format.

    Raises:
        pickle.UnpicklingError: it holds more than tensors in containers.
        Exception: whatever damaged bytes lead torch to.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.load(source, map_location="cpu", weights_only=True)


def _unpickle(path: Path) -> tuple[dict[str, Any], memoryview]:
    """The output of `unpickler` for a file: its header and the raw bytes behind it."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            child = subprocess.run(
                [sys.executable, "-I", "-S", unpickler.__file__, str(size)],
                stdin=file,
                capture_output=True,
                timeout=_SECONDS + _SECONDS_PER_BYTE * size,
            )
    except OSError as error:
        raise AvtError(f"cannot read {path}: {error.strerror}.") from error
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"reading it takes over {error.timeout:.0f} s") from error
    if child.returncode == unpickler.OUT_OF_MEMORY:
        raise ValueError("it holds more objects than a file of its size would")
    if child.returncode:
        raise ValueError(f"reading it ended a process with the status {child.returncode}")
    start = 8 + int.from_bytes(child.stdout[:8], "little")
    return json.loads(child.stdout[8:start]), memoryview(child.stdout)[start:]


class _Builder:
    """Makes the objects that `unpickler` describes, each once.

    Args:
        nodes: see `unpickler`.
        raw: the bytes that they refer to.
    """

    def __init__(self, nodes: list[list[Any]], raw: memoryview) -> None:
        self._nodes, self._raw = nodes, raw
        self._made: dict[int, Any] = {}

    def value(self, item: Any) -> Any:
        """A plain value itself, or the object of the node [number]."""
        if not isinstance(item, list):
            return item
        place: int = item[0]
        if place not in self._made:
            kind, *parts = self._nodes[place]
            if kind in ("list", "dict"):
                # There before its items, which may lead back to it.
                whole: Any = [] if kind == "list" else {}
                self._made[place] = whole
                columns = (self._values(part) for part in parts)
                if kind == "list":
                    whole.extend(*columns)
                else:
                    whole.update(zip(*columns, strict=True))
            else:
                self._made[place] = self._make(kind, parts)
        return self._made[place]

    def _make(self, kind: str, parts: list[Any]) -> Any:
        if kind == "bytes":
            return bytes(self._raw[slice(*parts)])
        if kind == "storage":
            return _storage(self.value(parts[0]))
        if kind == "tensor":
            return _tensor(self.value(parts[0]), *parts[1:])
        if kind in ("array", "scalar"):
            code, shape, order, data = parts
            values = np.frombuffer(self.value(data), code, math.prod(shape))
            return values.item() if kind == "scalar" else values.reshape(shape, order=order)
        return {"tuple": tuple, "set": set, "frozenset": frozenset}[kind](self._values(parts[0]))

    def _values(self, items: list[Any]) -> list[Any]:
        # Long lists of numbers come back as they are, without a call for each.
        return [self.value(item) for item in items] if list in set(map(type, items)) else items


def _storage(data: bytes) -> torch.Tensor:
    """The numbers of a tensor [n], in torch's older file format, which does not compress.

    torch's own restricted reader takes it apart; whatever it raises, the bytes are at fault.
    """
    if not data.startswith(b"\x80"):
        raise ValueError("it holds a torch storage in another format")
    try:
        storage = load_tensors(io.BytesIO(data))
    except Exception as error:
        raise ValueError("it holds a torch storage that is damaged or no storage") from error
    if not isinstance(storage, torch.storage.TypedStorage):
        raise ValueError("it holds a torch storage that holds something else")
    return torch.empty(0, dtype=storage.dtype).set_(storage)


def _tensor(values: torch.Tensor, offset: int, size: list[int], stride: list[int]) -> torch.Tensor:
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if math.prod(size) and last >= len(values):
        raise ValueError(f"it holds a torch tensor of {math.prod(size)} values in {len(values)}")
    return values.as_strided(size, stride, offset)
