"""Looking things up in what a feature pack holds, with errors that name the file and the key."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from avt_memocmt.data.index import UtteranceKey
from avt_memocmt.data.packs.mapping import Entry
from avt_memocmt.data.packs.read import array_of_tensor
from avt_memocmt.emotions import EMOTIONS, emotion_index
from avt_memocmt.errors import AvtError

_NAME = re.compile(
    r"(?:(?P<split>[A-Za-z]+)[_ /])?(?:dia)?(?P<dialogue>\d{1,9})_(?:utt)?(?P<utterance>\d{1,9})"
    r"(?:\.\w+)?"
)
_DEV_NAMES = frozenset({"val", "valid", "validation"})
_NOT_MEASURED = frozenset({"", "nan", "na"})
_LARGEST_ID = 10**9

MAX_ITEMS = 1 << 22
"""Most rows of a part, and most turns of a dialogue."""


@dataclass(frozen=True)
class Pack:
    """What one file, or one part of it, holds.

    Where it does not hold what is asked for, a method raises `AvtError` with the file and the key.

    Attributes:
        path: the file.
        contents: what `read_pack` returns.
        split: split of its utterances; None where their names or a column say it.
    """

    path: Path
    contents: Any
    split: str | None = None

    def part(self, entry: Entry | None) -> Any:
        """Return one part of the pack, or the whole for None."""
        if entry is None:
            return self.contents
        if isinstance(entry, int) and isinstance(self.contents, list | tuple):
            if entry < len(self.contents):
                return self.contents[entry]
            raise AvtError(
                f"{self.path} has no part {entry}: it holds {len(self.contents)}, counted from 0; "
                "correct the mapping."
            )
        if isinstance(self.contents, dict) and entry in self.contents:
            return self.contents[entry]
        raise AvtError(
            f"{self.path} has no part {entry!r}: {self._listing()}; correct the mapping."
        )

    def table(self, entry: Entry | None) -> dict[Any, Any]:
        """Return a part, or the whole for None, that must be a dictionary."""
        part = self.part(entry)
        if isinstance(part, dict):
            return part
        what = "the pack" if entry is None else f"part {entry!r}"
        raise AvtError(
            f"{self.path}: {what} is no dictionary but {_kind(part)}; correct the mapping."
        )

    def columns(self, patterns: Sequence[str]) -> list[str]:
        """Return the names of the columns that match each pattern, in the order of the patterns."""
        names = [name for name in self.table(None) if isinstance(name, str)]
        found = []
        for pattern in patterns:
            fitting = [name for name in names if fnmatchcase(name, pattern)]
            if not fitting:
                raise AvtError(
                    f"{self.path} has no column {pattern}: {self._listing()}; correct the mapping."
                )
            found += fitting
        return found

    def numbers(self, entry: Entry) -> NDArray[np.float64]:
        """Return a column of numbers [rows]; NaN where a cell is empty."""
        values = self.values(entry)
        if isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
            return values.astype(np.float64)
        return np.array([self._number(entry, row, value) for row, value in enumerate(values, 1)])

    def values(self, entry: Entry) -> Any:
        """Return a column with one number or text per row, as a list or array [rows]."""
        column = self.column(entry)
        if isinstance(column, np.ndarray) and column.ndim != 1:
            raise AvtError(f"{self.path}: part {entry} has more than one value per row.")
        return column

    def column(self, entry: Entry) -> Any:
        """Return a part with one item per row; see `sequence`."""
        return self.sequence(self.part(entry), f"part {entry}")

    def sequence(self, value: Any, what: str) -> Any:
        """Return `value`, called `what` in messages, as a list, tuple or array of turns or rows."""
        if isinstance(value, torch.Tensor):
            value = array_of_tensor(value, f"{self.path}: {what}")
        if not isinstance(value, list | tuple) and not (
            isinstance(value, np.ndarray) and value.ndim
        ):
            raise AvtError(f"{self.path}: {what} is no list or array but {_kind(value)}.")
        if len(value) > MAX_ITEMS:
            raise AvtError(f"{self.path}: {what} has over {MAX_ITEMS} items; divide the pack.")
        return value

    def check_length(self, what: str, there: int, here: int, place: str) -> None:
        """Refuse two parts of different lengths: "`what` has `there`, but `here` `place`"."""
        if there != here:
            raise AvtError(
                f"{self.path}: {what} has {there}, but {here} {place}; make the pack again from "
                "the same annotation, or correct the mapping."
            )

    def identifier(self, value: Any, what: str) -> int:
        """Return a dialogue or utterance id as a number."""
        try:
            number = int(value) if isinstance(value, str | np.integer) else value
            if number == int(number) and 0 <= number < _LARGEST_ID:
                return int(number)
        except (TypeError, ValueError, OverflowError):
            pass
        raise AvtError(f"{self.path}: the {what} {shown(value)} is no whole number of 0 or more.")

    def known_split(self, split: Any = None) -> str:
        """Return the split of an utterance: its own, else that of the pack."""
        found = self.split if split is None else str(split)
        if found is None:
            raise AvtError(f"{self.path} does not tell the split of its utterances; give --split.")
        return "dev" if found in _DEV_NAMES else found

    def key(self, name: Any) -> UtteranceKey:
        """Return the utterance that "train_dia0_utt1", "0_1" or ("train", 0, 1) names."""
        if isinstance(name, str) and (found := _NAME.fullmatch(name.strip())):
            split, dialogue, utterance = found.group("split", "dialogue", "utterance")
        elif isinstance(name, tuple) and len(name) in (2, 3):
            split, dialogue, utterance = (None, *name)[-3:]
        else:
            raise AvtError(
                f"{self.path}: {shown(name)} names no utterance; call it dia0_utt1, with the split "
                "before it where there are several."
            )
        return UtteranceKey(
            self.known_split(split),
            self.identifier(dialogue, "dialogue id"),
            self.identifier(utterance, "utterance id"),
        )

    def _number(self, entry: Entry, row: int, value: Any) -> float:
        if isinstance(value, str) and value.strip().lower() in _NOT_MEASURED:
            return float("nan")
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise AvtError(
                f"{self.path}, row {row}: {entry} is {shown(value)}, which is no number."
            ) from error

    def _listing(self) -> str:
        if not isinstance(self.contents, dict):
            return f"it is {_kind(self.contents)}"
        names = [shown(name) for name in list(self.contents)[:8]]
        return f"it has {', '.join(names)}{' ...' if len(self.contents) > 8 else ''}"


def emotion_of(label: Any) -> int | None:
    """Index into `EMOTIONS` of a name, or of a number in MELD's order; None for anything else."""
    if isinstance(label, str) and not label.isdecimal():
        try:
            return emotion_index(label)
        except AvtError:
            return None
    number = int(label[:9]) if isinstance(label, str) else label
    if isinstance(number, int | np.integer) and 0 <= number < len(EMOTIONS):
        return int(number)
    return None


def shown(value: Any) -> str:
    """Return a key or cell of a pack in the form that messages show."""
    return repr(value)[:60] if isinstance(value, str | int | float) else _kind(value)


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}"
