"""The tables of a batch: a row for each file that is done, and for each that failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from avt_memocmt.emotions import EMOTIONS, UNCERTAIN
from avt_memocmt.files import write_csv
from avt_memocmt.report.judgements import emotion_shares

SUMMARY_FILE, ERRORS_FILE = "summary.csv", "errors.csv"
SHARES = (*EMOTIONS, UNCERTAIN)
_COLUMNS = ("file", "duration", "utterances", "speakers", *SHARES, "warnings")

Row = dict[str, Any]
"""By column: the file's name, its seconds, the number of utterances and of speakers, each emotion's
share of the time of the utterances (0 to 1), and the names of all warnings, separated by spaces."""


def row_of(name: str, prediction: Mapping[str, Any]) -> Row:
    """The row of a file.

    Args:
        name: of the file.
        prediction: the object of `predict --json`.

    Raises:
        KeyError, TypeError, AttributeError: it is another object.
    """
    turns = prediction["utterances"]
    shares = dict(
        emotion_shares([(turn["emotion"], turn["end"] - turn["start"]) for turn in turns])
    )
    warnings = {*prediction["warnings"], *(w for turn in turns for w in turn["warnings"])}
    return {
        "file": name,
        "duration": prediction["duration"],
        "utterances": len(turns),
        "speakers": len(prediction["speakers"]),
        **{emotion: round(shares.get(emotion, 0.0), 4) for emotion in SHARES},
        "warnings": " ".join(sorted(warnings)),
    }


def write_tables(folder: Path, rows: Iterable[Row], failures: Iterable[tuple[str, str]]) -> None:
    """Write summary.csv and errors.csv, sorted by file; an empty errors.csv has its header alone.

    Args:
        folder: for them.
        rows: of the files that are done.
        failures: file and reason.

    Raises:
        AvtError: the folder cannot be written.
    """
    write_csv(folder / SUMMARY_FILE, _COLUMNS, sorted(rows, key=lambda row: str(row["file"])))
    listed = [{"file": name, "reason": why} for name, why in sorted(failures)]
    write_csv(folder / ERRORS_FILE, ("file", "reason"), listed)
