"""A CSV beside the shards with the clips that could not be extracted, and why.

What is missing from a shard is noted before the shard appears, in a file of its own that is hidden
and goes once `FAILED_FILE` has it. So a shard never hides a failure, whoever is killed when.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from avt_memocmt.data.index import UtteranceKey
from avt_memocmt.errors import AvtError
from avt_memocmt.files import write_csv

FAILED_FILE = "failed.csv"
_COLUMNS = ("split", "dialogue_id", "utterance_id", "path", "reason")


@dataclass(frozen=True)
class Failure:
    """A clip that could not be extracted.

    Attributes:
        key: key of the utterance.
        path: its media file; "" if it has none.
        reason: one sentence.
    """

    key: UtteranceKey
    path: str
    reason: str


def read_failures(store: Path) -> list[Failure]:
    """The failures in the folder of a store, each once; none if it has no such file.

    Raises:
        AvtError: a file cannot be read.
    """
    noted = [*_read(store / FAILED_FILE), *(f for path in _notes(store) for f in _read(path))]
    return list({failure.key: failure for failure in noted}.values())


def write_failures(store: Path, failures: Iterable[Failure], shards: Iterable[int]) -> None:
    """Replace the record of failures, or remove it if nothing failed.

    Args:
        store: folder of the store.
        failures: all of them.
        shards: numbers of those whose notes are in it and go.

    Raises:
        AvtError: the folder cannot be written.
    """
    _write(store / FAILED_FILE, failures)
    for number in shards:
        _note(store, number).unlink(missing_ok=True)


def read_note(store: Path, number: int) -> list[Failure]:
    """What is missing from shard `number`, where `write_failures` has not taken it up yet."""
    return _read(_note(store, number))


def write_note(store: Path, number: int, failures: Iterable[Failure]) -> None:
    """Note what is missing from shard `number`; errors as of `write_failures`."""
    _write(_note(store, number), failures)


def _note(store: Path, number: int) -> Path:
    return store / f".failed-{number:05d}.csv"


def _notes(store: Path) -> list[Path]:
    return sorted(store.glob(".failed-[0-9]*.csv"))


def _read(path: Path) -> list[Failure]:
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [
                Failure(
                    UtteranceKey(row["split"], int(row["dialogue_id"]), int(row["utterance_id"])),
                    row["path"],
                    row["reason"],
                )
                for row in csv.DictReader(file)
            ]
    except (OSError, KeyError, ValueError, TypeError, csv.Error) as error:
        raise AvtError(f"{path} is damaged; delete the store and extract it again.") from error


def _write(path: Path, failures: Iterable[Failure]) -> None:
    rows = [{**f.key._asdict(), "path": f.path, "reason": f.reason} for f in failures]
    if not rows:
        path.unlink(missing_ok=True)
        return
    write_csv(path, _COLUMNS, rows)
