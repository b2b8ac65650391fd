"""A tidy table of utterances, in CSV."""

from __future__ import annotations

from pathlib import Path

from avt_memocmt.exports.plain_text import clean
from avt_memocmt.files import write_csv
from avt_memocmt.inference.results import MediaPrediction
from avt_memocmt.inference.results_table import COLUMNS, table_rows


def write(prediction: MediaPrediction, path: Path) -> None:
    """Write one row for each utterance; `results_table.COLUMNS` says what the columns hold."""
    rows = (
        {name: clean(cell) if isinstance(cell, str) else cell for name, cell in row.items()}
        for row in table_rows(prediction)
    )
    write_csv(path, COLUMNS, rows)
