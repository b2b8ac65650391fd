"""Reading pickles of strangers: data only, nothing they say is run.

A pickle is a program for a stack machine, two of whose instructions fetch and call any function of
any module. This machine has only the instructions that build containers, text and numbers; in
place of functions it knows the constructors of `pickled_arrays`. `pickletools` reads the
instructions and never reserves more memory than the file has bytes.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from avt_memocmt.data.packs.pickle_budget import Budget, RefusedError, check_depth
from avt_memocmt.data.packs.pickled_arrays import (
    CONSTRUCTORS,
    Constructor,
    check_hashable,
    shown,
    update,
)
from avt_memocmt.errors import AvtError

_NUMBERS_AND_TEXT = (
    "NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING "
    "BINSTRING SHORT_BINSTRING UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8 SHORT_BINBYTES "
    "BINBYTES BINBYTES8 BYTEARRAY8"
)
_LITERALS = frozenset(_NUMBERS_AND_TEXT.split())
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_IGNORED = frozenset({"PROTO", "FRAME", "STOP"})

# What bytes without sense lead the parser or the machine to.
_DAMAGE = (
    ValueError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
    RuntimeError,
)


def load_pickle(path: Path) -> Any:
    """Read a pickle of containers, text, numbers, NumPy arrays and torch tensors.

    Byte strings of Python 2 are read as Latin-1. Objects may be shared or contain themselves, so a
    caller bounds what it walks over.

    Raises:
        AvtError: the file cannot be read, is damaged, asks for anything else (which is named), or
            for more memory than its size accounts for.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise AvtError(f"cannot read {path}: {error.strerror}.") from error
    try:
        return _Machine(len(data)).run(data)
    except RefusedError as error:
        raise AvtError(
            f"{path} is refused: it holds {error}; a pack may hold only containers, text, numbers, "
            "NumPy arrays and torch tensors, so save it again as those."
        ) from error
    except _DAMAGE as error:
        raise AvtError(f"{path} is damaged or no pickle; get it again.") from error


class _Machine:
    """The stack, the memo and what may still be spent."""

    def __init__(self, size: int) -> None:
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._budget = Budget(size)

    def run(self, data: bytes) -> Any:
        """The object that the program leaves on the stack."""
        for opcode, argument, _ in pickletools.genops(data):
            name = opcode.name
            self._budget.spend(name)
            if name in _LITERALS:
                self._push_literal(name, argument)
            elif name in _ACTIONS:
                _ACTIONS[name](self, argument)
            elif name not in _IGNORED:
                raise RefusedError(f"the pickle instruction {name}")
        result = self._stack.pop()
        check_depth(result)
        return result

    def _push_literal(self, name: str, value: Any) -> None:
        # Long integers with equal hashes make a dictionary quadratic.
        if type(value) is int and value.bit_length() > 64:
            raise RefusedError("an integer of more than 64 bits")
        self._stack.append(_CONSTANTS.get(name, value))

    def _items(self) -> list[Any]:
        """Take everything above the last mark."""
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def _last(self, count: int) -> list[Any]:
        if len(self._stack) < count:
            raise IndexError
        items = self._stack[len(self._stack) - count :]
        del self._stack[len(self._stack) - count :]
        return items

    def _top(self, kind: type) -> Any:
        """The container that items are put into."""
        if type(self._stack[-1]) is not kind:
            raise TypeError
        return self._stack[-1]

    def _mark(self, _: Any) -> None:
        self._marks.append(len(self._stack))

    def _pop(self, _: Any) -> None:
        if self._marks and self._marks[-1] == len(self._stack):
            self._marks.pop()
        else:
            self._stack.pop()

    def _extend(self, items: Iterable[Any]) -> None:
        self._top(list).extend(items)

    def _set_items(self, items: list[Any]) -> None:
        self._top(dict).update(_dictionary(items))

    def _add_items(self, items: list[Any]) -> None:
        self._top(set).update(map(check_hashable, items))

    def _remember(self, number: int | None) -> None:
        self._memo[len(self._memo) if number is None else number] = self._stack[-1]

    def _fetch(self, module: object, name: object) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise TypeError
        if (module, name) not in CONSTRUCTORS:
            raise RefusedError(f"{shown(module)}.{shown(name)}")
        self._stack.append(CONSTRUCTORS[module, name])

    def _call(self, _: Any) -> None:
        function, arguments = self._last(2)
        if not isinstance(function, Constructor) or type(arguments) is not tuple:
            raise RefusedError(f"a call of {shown(type(function).__name__)}")
        self._budget.spend_on_copying(arguments)
        self._stack.append(function.make(*arguments))

    def _build(self, _: Any) -> None:
        target, state = self._last(2)
        self._budget.spend_on_copying(state)
        update(target, state)
        self._stack.append(target)


def _dictionary(items: list[Any]) -> dict[Any, Any]:
    return dict(zip(map(check_hashable, items[::2]), items[1::2], strict=True))


_ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine._mark,
    "POP": _Machine._pop,
    "POP_MARK": lambda m, _: m._items().clear(),
    "DUP": lambda m, _: m._stack.append(m._stack[-1]),
    "EMPTY_LIST": lambda m, _: m._stack.append([]),
    "EMPTY_DICT": lambda m, _: m._stack.append({}),
    "EMPTY_SET": lambda m, _: m._stack.append(set()),
    "EMPTY_TUPLE": lambda m, _: m._stack.append(()),
    "LIST": lambda m, _: m._stack.append(m._items()),
    "DICT": lambda m, _: m._stack.append(_dictionary(m._items())),
    "FROZENSET": lambda m, _: m._stack.append(frozenset(map(check_hashable, m._items()))),
    "TUPLE": lambda m, _: m._stack.append(tuple(m._items())),
    "TUPLE1": lambda m, _: m._stack.append(tuple(m._last(1))),
    "TUPLE2": lambda m, _: m._stack.append(tuple(m._last(2))),
    "TUPLE3": lambda m, _: m._stack.append(tuple(m._last(3))),
    "APPEND": lambda m, _: m._extend(m._last(1)),
    "APPENDS": lambda m, _: m._extend(m._items()),
    "SETITEM": lambda m, _: m._set_items(m._last(2)),
    "SETITEMS": lambda m, _: m._set_items(m._items()),
    "ADDITEMS": lambda m, _: m._add_items(m._items()),
    "PUT": _Machine._remember,
    "BINPUT": _Machine._remember,
    "LONG_BINPUT": _Machine._remember,
    "MEMOIZE": _Machine._remember,
    "GET": lambda m, number: m._stack.append(m._memo[number]),
    "BINGET": lambda m, number: m._stack.append(m._memo[number]),
    "LONG_BINGET": lambda m, number: m._stack.append(m._memo[number]),
    "GLOBAL": lambda m, name: m._fetch(*name.split(" ", 1)),
    "STACK_GLOBAL": lambda m, _: m._fetch(*m._last(2)),
    "REDUCE": _Machine._call,
    "BUILD": _Machine._build,
}
