"""What a pickle may cost: memory in proportion to its size, and no deep nesting.

One byte of a pickle makes an empty set of 216 bytes, and a constructor can be given the same large
list again and again, so a small file could fill the memory without telling any large number.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

MAX_MEMORY = 8 << 30
"""Most that the objects of one pickle may take, in bytes."""

MAX_DEPTH = 12
"""Containers inside one another; packs need five."""

# Bytes of memory. Lists of numbers take 16 per byte of pickle at most, arrays next to none.
_PER_BYTE = 32
_FREE = 64 << 20
_NUMBER, _MEMO, _OBJECT = 32, 128, 256
_COPIED_ITEM, _COPIED_BYTE = 64, 1

_OBJECTS = (
    "EMPTY_LIST EMPTY_DICT EMPTY_SET EMPTY_TUPLE LIST DICT FROZENSET TUPLE TUPLE1 TUPLE2 TUPLE3 "
    "REDUCE"
)
_COSTS = dict.fromkeys(_OBJECTS.split(), _OBJECT) | dict.fromkeys(
    ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _MEMO
)
_TEXT, _ITEMS = (str, bytes, bytearray), (list, tuple, dict, set, frozenset)


class RefusedError(Exception):
    """The pickle holds something it may not; the message names it."""


class Budget:
    """The memory that is left to a pickle.

    Args:
        size: bytes of the pickle.
    """

    def __init__(self, size: int) -> None:
        self._left = min(_FREE + _PER_BYTE * size, MAX_MEMORY)

    def spend(self, instruction: str) -> None:
        """Pay for what one instruction makes, text and arrays apart.

        Raises:
            RefusedError: nothing is left.
        """
        self._pay(_COSTS.get(instruction, _NUMBER))

    def spend_on_copying(self, arguments: Any) -> None:
        """Pay for what a constructor may copy.

        Raises:
            RefusedError: nothing is left.
        """
        for part in arguments if type(arguments) is tuple else ():
            if isinstance(part, _TEXT + _ITEMS):
                self._pay(len(part) * (_COPIED_BYTE if isinstance(part, _TEXT) else _COPIED_ITEM))

    def _pay(self, cost: int) -> None:
        self._left -= cost
        if self._left < 0:
            raise RefusedError("more objects than a file of its size would")


def check_depth(root: Any) -> None:
    """Go through nested containers level by level, once each, for they may share their parts.

    Raises:
        RefusedError: they are nested more than `MAX_DEPTH` deep.
    """
    seen: set[int] = set()
    level = [root]
    for _ in range(MAX_DEPTH):
        found = {id(part): part for whole in level for part in _parts(whole)}
        level = [part for key, part in found.items() if key not in seen]
        seen.update(found)
    if level:
        raise RefusedError(f"containers nested more than {MAX_DEPTH} deep")


def _parts(whole: Any) -> Iterator[Any]:
    """Containers that lie directly in this one; those in keys are flat."""
    if type(whole) in (dict, list, tuple):
        inner = whole.values() if type(whole) is dict else whole
        yield from (part for part in inner if type(part) in (dict, list, tuple))
