"""The program of the child process in which `safe_pickle` unpickles a stranger's file.

It reads the pickle from stdin and writes what it holds to stdout. It imports nothing but the
standard library, so that it starts in a few hundredths of a second and in little memory.

A pickle can name any function and have it called. Here every name stands for a constructor of this
module, which checks what it is given; no other function is ever called.

The output is a JSON object behind its length (8 bytes, little-endian), then the raw bytes it refers
to. "nodes" has every object once, so that shared objects stay shared: the kind, then the parts. A
number, a text or None stands as it is, any other object as a list with the number of its node; so
does "root". A refused or damaged pickle gives {"error": reason} instead.
"""

from __future__ import annotations

import json
import math
import os
import pickle
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

OUT_OF_MEMORY = 3
"""Exit status when the memory is used up."""

MAX_MEMORY = 8 << 30
"""Most that the process may take, in bytes."""

_FREE, _PER_BYTE = 64 << 20, 32
"""Bytes of memory for any pickle, and for each of its bytes; a list of numbers takes about 16."""

MAX_DEPTH = 12
"""Containers inside one another; packs need five."""

MAX_KEY = 1000
"""Characters or parts of a key."""

MAX_DIMENSIONS = 4
# Truth values, integers, floats, byte strings and text; no objects, records or dates.
_DTYPE = re.compile(r"([<>=|]?)(b1|[iu][1248]|f(?:2|4|8|12|16)|[SU]\d{1,9})")
_FREE_OF_CHECKS = {bool, float, str, type(None)}
_PLAIN = (*_FREE_OF_CHECKS, int)


class RefusedError(Exception):
    """The pickle holds something it may not; the message says what."""


class _Constructor:
    """What a pickle gets for the name of a function."""

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise RefusedError("it holds a state for a function")


class _Dtype:
    """The type of an array's elements: the code of NumPy, such as "<f4"."""

    __slots__ = ("code", "order")

    def __init__(self, code: Any, align: Any = False, copy: Any = True) -> None:
        if not isinstance(code, str) or not (match := _DTYPE.fullmatch(code)):
            raise RefusedError(f"it holds a NumPy array of the type {shown(code)}")
        self.order, self.code = match[1] or "=", match[2]

    def __setstate__(self, state: Any) -> None:
        """Take the byte order; everything else describes records."""
        if not isinstance(state, tuple) or any(part is not None for part in state[2:5]):
            raise RefusedError("it holds a NumPy array of records")
        self.order = state[1] if state[1] in ("<", ">") else "="

    @property
    def item_size(self) -> int:
        """Bytes of an element."""
        return int(self.code[1:]) * (4 if self.code[0] == "U" else 1)


class _Array:
    """A NumPy array or, with the kind "scalar", one element of an array."""

    __slots__ = ("code", "data", "kind", "order", "shape")

    def __init__(
        self, data: Any, dtype: Any, shape: Any, order: Any = "C", kind: str = "array"
    ) -> None:
        self.kind = kind
        self._fill(data, dtype, shape, order)

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, is_fortran, data = state
        self._fill(data, dtype, shape, "F" if is_fortran else "C")

    def _fill(self, data: Any, dtype: Any, shape: Any, order: Any) -> None:
        if not isinstance(dtype, _Dtype):
            raise RefusedError("it holds a NumPy array without a type")
        self.data, self.shape, self.order = _bytes(data), shape, "F" if order == "F" else "C"
        self.code, count, size = dtype.order + dtype.code, _count(shape), len(self.data)
        if count * dtype.item_size != size:
            raise RefusedError(f"it holds a NumPy array of {count} values in {size} bytes")


class _Storage(NamedTuple):
    """The numbers of a torch tensor, as a file of torch."""

    data: bytes


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def shown(name: Any) -> str:
    """A name from the pickle, short and printable."""
    return ascii(name)[1:-1][:80] if isinstance(name, str) else type(name).__name__


def _count(shape: Any) -> int:
    if (
        not isinstance(shape, tuple)
        or len(shape) > MAX_DIMENSIONS
        or any(type(size) is not int or size < 0 for size in shape)
    ):
        raise RefusedError("it holds an array of an impossible shape")
    return math.prod(shape)


def _bytes(data: Any = b"", encoding: Any = "latin-1") -> bytes:
    """Python 2 wrote bytes as text, and protocols 0 to 2 write them as text to be encoded."""
    if encoding not in ("latin1", "latin-1"):
        raise RefusedError(f"it holds bytes in the encoding {shown(encoding)}")
    if isinstance(data, str):
        return data.encode("latin-1")
    if not isinstance(data, bytes | bytearray):
        raise RefusedError(f"it holds bytes made of {shown(type(data).__name__)}")
    return bytes(data)


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> _Tensor:
    if not isinstance(storage, _Storage):
        raise RefusedError("it holds a torch tensor without a storage")
    for numbers in ((offset,), size, stride):
        _count(numbers)
    return _Tensor(storage, offset, size, stride)


def _refused_call(*_: Any) -> Any:
    raise RefusedError("it holds a call of numpy.ndarray")


CONSTRUCTORS: dict[str, Callable[..., Any]] = {
    "numpy.ndarray": _refused_call,
    "numpy.dtype": _Dtype,
    "numpy.core.multiarray._reconstruct": lambda *_: _Array(b"", _Dtype("u1"), (0,)),
    "numpy.core.multiarray.scalar": lambda dtype, data: _Array(data, dtype, (), "C", "scalar"),
    "numpy.core.numeric._frombuffer": _Array,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch.storage._load_from_bytes": lambda data: _Storage(_bytes(data)),
    "collections.OrderedDict": dict,
    "collections.defaultdict": lambda *_: {},
    "builtins.list": list,
    "builtins.set": set,
    "builtins.frozenset": frozenset,
    "builtins.bytes": _bytes,
    "builtins.bytearray": _bytes,
    "_codecs.encode": _bytes,
}
"""By the names of Python 3 and NumPy 1."""


class RestrictedUnpickler(pickle.Unpickler):
    """Finds the constructors of this module and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """The constructor that stands for a function.

        Raises:
            RefusedError: the pickle names another function or class.
        """
        for new, old in (("numpy._core.", "numpy.core."), ("__builtin__", "builtins")):
            module = module.replace(new, old)
        if f"{module}.{name}" not in CONSTRUCTORS:
            raise RefusedError(f"it holds {shown(module)}.{shown(name)}")
        return _Constructor(CONSTRUCTORS[f"{module}.{name}"])


class _Nodes:
    """The objects that a root leads to, as a list that JSON can hold, and their raw bytes."""

    def __init__(self, root: Any) -> None:
        self.nodes: list[list[Any]] = []
        self.raw: list[bytes] = []
        self._size = 0
        self._places: dict[int, int] = {}
        self._queue: list[tuple[Any, int]] = []
        self.root = self._reference(root, 0)
        for value, depth in self._queue:  # which grows meanwhile
            self.nodes.append(self._node(value, depth))

    def _reference(self, value: Any, depth: int) -> Any:
        """A plain value itself, another as [number of its node]."""
        if type(value) in _PLAIN:
            # Long integers with equal hashes make a dictionary quadratic.
            if type(value) is int and value.bit_length() > 64:
                raise RefusedError("it holds an integer of more than 64 bits")
            return value
        place = self._places.setdefault(id(value), len(self._queue))
        if place == len(self._queue):
            self._queue.append((value, depth))
        return [place]

    def _references(self, values: Sequence[Any], depth: int) -> Sequence[Any]:
        if set(map(type, values)) <= _FREE_OF_CHECKS:  # without a call for each number
            return values
        return [self._reference(value, depth) for value in values]

    def _node(self, value: Any, depth: int) -> list[Any]:
        kind = type(value)
        if kind in (dict, list, tuple) and depth >= MAX_DEPTH:
            raise RefusedError(f"it holds containers nested more than {MAX_DEPTH} deep")
        if kind is dict:
            keys, values = list(map(_checked_key, value)), list(value.values())
            return ["dict", *(self._references(items, depth + 1) for items in (keys, values))]
        if kind in (list, tuple, set, frozenset):
            items = value if kind in (list, tuple) else list(map(_checked_key, value))
            return [kind.__name__, self._references(items, depth + 1)]
        if kind in (bytes, bytearray):
            self.raw.append(value)
            self._size += len(value)
            return ["bytes", self._size - len(value), self._size]
        if kind is _Array:
            data = self._reference(value.data, depth)
            return [value.kind, value.code, value.shape, value.order, data]
        if kind is _Storage:
            return ["storage", self._reference(value.data, depth)]
        if kind is _Tensor:
            return ["tensor", self._reference(value.storage, depth), *value[1:]]
        raise RefusedError("it holds a function or a type")


def _checked_key(key: Any) -> Any:
    """A key of a dictionary or member of a set, if it is cheap to hash and to compare."""
    parts = key if type(key) is tuple else (key,)
    plain = (
        type(part) in (*_PLAIN, bytes) or getattr(part, "kind", "") == "scalar" for part in parts
    )
    if len(parts) > MAX_KEY or not all(plain):
        raise RefusedError(f"it holds a dictionary key of the type {type(key).__name__}")
    if any(isinstance(part, str | bytes) and len(part) > MAX_KEY for part in parts):
        raise RefusedError(f"it holds a dictionary key of over {MAX_KEY} characters")
    return key


def _limit_memory(size: int) -> None:
    """Limit this process, on Linux, to what a pickle of `size` bytes may cost.

    Windows has no such limit and macOS does not keep to it: there the parent's time limit alone
    ends a pickle that fills the memory.
    """
    limit = min(_FREE + _PER_BYTE * size, MAX_MEMORY)
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    except (ImportError, ValueError, OSError):
        pass


def _write(header: dict[str, Any], raw: Iterable[bytes] = ()) -> None:
    text = json.dumps(header, separators=(",", ":")).encode()
    sys.stdout.buffer.write(len(text).to_bytes(8, "little") + text)
    for part in raw:
        sys.stdout.buffer.write(part)


def main() -> None:
    """Unpickle stdin, of which the size in bytes is the only argument."""
    _limit_memory(int(sys.argv[1]))
    try:
        found = _Nodes(RestrictedUnpickler(sys.stdin.buffer, encoding="latin1").load())
        _write({"root": found.root, "nodes": found.nodes}, found.raw)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except Exception as error:  # whatever bytes without sense lead the unpickler to
        _write({"error": f"{error}"[:200] or type(error).__name__})


if __name__ == "__main__":
    main()
