"""A CSV beside the shards with the clips that could not be extracted, and why."""

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
    """The failures recorded in the folder of a store; none if it has no such file.

    Raises:
        AvtError: the file cannot be read.
    """
    path = store / FAILED_FILE
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


def write_failures(store: Path, failures: Iterable[Failure]) -> None:
    """Replace the record of failures, or remove it if nothing failed.

    Raises:
        AvtError: the folder cannot be written.
    """
    path = store / FAILED_FILE
    rows = [{**f.key._asdict(), "path": f.path, "reason": f.reason} for f in failures]
    if not rows:
        path.unlink(missing_ok=True)
        return
    write_csv(path, _COLUMNS, rows)
