"""The few things a pickle may have made for it: NumPy arrays, torch tensors, plain containers.

Each constructor stands in for the function that the pickle names, checks the sizes it is given
against the bytes it is given, and only then builds the value.
"""

from __future__ import annotations

import io
import math
import pickle
import re
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from avt_memocmt.data.packs.pickle_budget import RefusedError

# Truth values, integers, floats, byte strings and text; no objects, records or dates.
_DTYPE = re.compile(r"[<>=|]?([biufSU])\d{1,9}")
_PLAIN = (str, bytes, int, float, type(None))
MAX_DIMENSIONS = 4
MAX_KEY = 1000
"""Characters of a key."""


@dataclass(frozen=True)
class Constructor:
    """What a pickle can call by the name of a function."""

    make: Callable[..., Any]


class _Dtype:
    """The type of an array's elements while a pickle spells it out."""

    def __init__(self, code: Any, align: bool = False, copy: bool = True) -> None:
        if not isinstance(code, str) or not _DTYPE.fullmatch(code):
            raise RefusedError(f"a NumPy array of the type {shown(code)}")
        self.dtype = np.dtype(code)

    def update(self, state: Any) -> None:
        """Take the byte order; everything else describes records."""
        if not isinstance(state, tuple) or any(part is not None for part in state[2:5]):
            raise RefusedError("a NumPy array of records")
        self.dtype = self.dtype.newbyteorder(state[1])


def shown(name: Any) -> str:
    """A name out of the pickle, short and printable."""
    return ascii(name)[1:-1][:80] if isinstance(name, str) else type(name).__name__


def load_tensors(source: Path | BinaryIO) -> Any:
    """What torch's own restricted reader finds in a file of torch, in either format.

    Raises:
        pickle.UnpicklingError: it holds more than tensors in containers.
        Exception: whatever damaged bytes lead torch to.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.load(source, map_location="cpu", weights_only=True)


def check_hashable(key: Any) -> Any:
    """Return a key of a dictionary or member of a set that is cheap to hash and to compare.

    Raises:
        RefusedError: it is not a number, a short text or a short tuple of those.
    """
    parts = key if type(key) is tuple else (key,)
    if len(parts) > MAX_KEY or not all(isinstance(part, _PLAIN) for part in parts):
        raise RefusedError(f"a dictionary key of the type {type(key).__name__}")
    if any(isinstance(part, str | bytes) and len(part) > MAX_KEY for part in parts):
        raise RefusedError(f"a dictionary key of over {MAX_KEY} characters")
    return key


def update(target: Any, state: Any) -> None:
    """What BUILD does: complete an array or the type of one.

    Raises:
        RefusedError: the target is anything else, or the array is larger than its bytes.
    """
    if isinstance(target, _Dtype):
        target.update(state)
    elif type(target) is np.ndarray:
        _, shape, dtype, is_fortran, data = state
        checked = _array(data, dtype, shape, "F" if is_fortran else "C")
        complete: Any = (1, checked.shape, checked.dtype, bool(is_fortran), _bytes(data))
        target.__setstate__(complete)
    else:
        raise RefusedError(f"a state for {shown(type(target).__name__)}")


def _bytes(data: Any) -> bytes:
    """Python 2 wrote bytes as text."""
    if isinstance(data, str):
        return data.encode("latin-1")
    if not isinstance(data, bytes | bytearray):
        raise RefusedError(f"bytes made of {shown(type(data).__name__)}")
    return bytes(data)


def _array(data: Any, dtype: Any, shape: Any, order: Any = "C") -> NDArray[Any]:
    if not isinstance(dtype, _Dtype):
        raise RefusedError("a NumPy array without a type")
    raw, kind = _bytes(data), dtype.dtype
    if _count(shape) * kind.itemsize != len(raw):
        raise RefusedError(f"a NumPy array of {_count(shape)} values in {len(raw)} bytes")
    return np.frombuffer(raw, kind, _count(shape)).reshape(
        shape, order="F" if order == "F" else "C"
    )


def _count(shape: Any) -> int:
    if (
        not isinstance(shape, tuple)
        or len(shape) > MAX_DIMENSIONS
        or any(type(size) is not int or size < 0 for size in shape)
    ):
        raise RefusedError("an array of an impossible shape")
    return math.prod(shape)


def _empty_array(kind: Any, shape: Any, code: Any) -> NDArray[Any]:
    """An array that `update` is going to fill, whatever shape is asked for here."""
    return np.empty(0, dtype=np.uint8)


def _scalar(dtype: Any, data: Any) -> Any:
    return _array(data, dtype, ()).item()


def _encode(text: Any, encoding: Any = "latin-1") -> bytes:
    """Protocols 0 to 2 write bytes as text to be encoded."""
    if encoding not in ("latin1", "latin-1"):
        raise RefusedError(f"bytes in the encoding {shown(encoding)}")
    return _bytes(text)


def _pairs(*arguments: Any) -> dict[Any, Any]:
    """An ordered dictionary, filled by Python 2 and empty otherwise."""
    return {check_hashable(key): value for pairs in arguments for key, value in pairs}


def _members(items: Iterable[Any] = ()) -> set[Any]:
    return set(map(check_hashable, items))


def _byte_array(data: Any = b"", encoding: Any = "latin-1") -> bytes:
    return _encode(data, encoding)


def _storage(data: Any) -> torch.Tensor:
    """The numbers of a tensor [n], in torch's older file format, which does not compress.

    torch's own restricted reader takes it apart; whatever it raises, the bytes are at fault.
    """
    raw = _bytes(data)
    if not raw.startswith(b"\x80"):
        raise RefusedError("a torch storage in another format")
    try:
        storage = load_tensors(io.BytesIO(raw))
    except pickle.UnpicklingError as error:
        raise RefusedError("a torch storage with other objects in it") from error
    except Exception as error:
        raise ValueError("damaged storage") from error
    if not isinstance(storage, torch.storage.TypedStorage):
        raise RefusedError("a torch storage that holds something else")
    return torch.empty(0, dtype=storage.dtype).set_(storage)


def _tensor(values: Any, offset: Any, size: Any, stride: Any, *_: Any) -> torch.Tensor:
    if not isinstance(values, torch.Tensor):
        raise RefusedError("a torch tensor without a storage")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if min((offset, *stride)) < 0 or (_count(size) and last >= len(values)):
        raise RefusedError(f"a torch tensor of {_count(size)} values in {len(values)}")
    return values.as_strided(size, stride, offset)


def _not_callable(*_: Any) -> Any:
    raise RefusedError("a call of numpy.ndarray")


_EMPTY_ARRAY, _SCALAR = Constructor(_empty_array), Constructor(_scalar)
_FROM_BUFFER = Constructor(_array)

CONSTRUCTORS: dict[tuple[Any, Any], Constructor] = {
    ("numpy", "ndarray"): Constructor(_not_callable),
    ("numpy", "dtype"): Constructor(_Dtype),
    ("numpy.core.multiarray", "_reconstruct"): _EMPTY_ARRAY,
    ("numpy._core.multiarray", "_reconstruct"): _EMPTY_ARRAY,
    ("numpy.core.multiarray", "scalar"): _SCALAR,
    ("numpy._core.multiarray", "scalar"): _SCALAR,
    ("numpy.core.numeric", "_frombuffer"): _FROM_BUFFER,
    ("numpy._core.numeric", "_frombuffer"): _FROM_BUFFER,
    ("_codecs", "encode"): Constructor(_encode),
    ("torch._utils", "_rebuild_tensor_v2"): Constructor(_tensor),
    ("torch.storage", "_load_from_bytes"): Constructor(_storage),
    ("collections", "OrderedDict"): Constructor(_pairs),
    ("collections", "defaultdict"): Constructor(lambda *_: {}),
    ("builtins", "list"): Constructor(list),
    ("builtins", "set"): Constructor(_members),
    ("builtins", "frozenset"): Constructor(lambda items=(): frozenset(_members(items))),
    ("builtins", "bytes"): Constructor(_byte_array),
    ("builtins", "bytearray"): Constructor(_byte_array),
}
"""By module and name, in Python 3 and NumPy 1 and 2."""
CONSTRUCTORS |= {
    ("__builtin__", name): made
    for (module, name), made in list(CONSTRUCTORS.items())
    if module == "builtins"
}
