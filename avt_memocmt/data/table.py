"""CSV tables as people write them: by hand, by Excel of any country, by other programs."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from avt_memocmt.data.index import UNLABELLED
from avt_memocmt.emotions import sentiment_index
from avt_memocmt.errors import AvtError
from avt_memocmt.preprocessing.text_file import read_text_file

MAX_BYTES = 200_000_000
"""Largest table that is read."""

_SEPARATORS = ",;\t|"
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*(?:\r\n|\r|\n)', re.IGNORECASE)


@dataclass(frozen=True)
class TableRow:
    """One row of a table.

    Attributes:
        line: number of its first line in the file, from 1.
        cells: by column, as they are written; "" where the row is short.
    """

    line: int
    cells: dict[str, str]


def read_table(
    path: Path,
    columns: Sequence[str],
    hint: str,
    what: str = "the table",
    optional: Sequence[str] = (),
) -> list[TableRow]:
    """Read a CSV file with a header.

    Commas, semicolons, tabs or bars part the cells: whichever makes most of the wanted columns out
    of the header, unless a first line "sep=;" says it. Columns are found whatever their capitals,
    and with spaces or hyphens for "_"; others keep their names. Rows without any content are
    passed over. The encoding is that of `read_text_file`.

    Args:
        path: the file.
        columns: the names that the header must have.
        hint: for the message where one is missing: what to give.
        what: for messages, such as "the manifest".
        optional: further names that are known.

    Raises:
        AvtError: the file cannot be read, is no table, lacks a column or has one twice, has no
            rows, or a row has more cells than the header; the message names the line.
    """
    text = read_text_file(path, what, MAX_BYTES).lstrip("\ufeff")
    parted = _SEPARATOR_LINE.match(text)
    skipped = 1 if parted else 0
    text = text[parted.end() :] if parted else text
    known = {_plain(name): name for name in (*columns, *optional)}
    separator = parted[1] if parted else _separator(text, known)
    lines = _rows(path, text, separator, skipped)
    _, written = next(lines, (1, []))
    header = [known.get(_plain(name), name.strip()) for name in written]
    _check_header(path, header, columns, hint)
    rows = [TableRow(line, _by_column(path, line, header, cells)) for line, cells in lines]
    if not rows:
        raise AvtError(f"{path} has no rows; give one row per utterance.")
    return rows


def optional_sentiment(cell: str) -> int:
    """Index into `SENTIMENTS` of a cell; `UNLABELLED` where it is empty.

    Raises:
        AvtError: it is no sentiment.
    """
    return sentiment_index(cell) if cell.strip() else UNLABELLED


def _plain(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.strip().lower())


def _separator(text: str, known: dict[str, str]) -> str:
    """The separator that makes most known columns, or else most columns, out of the header."""

    def found(separator: str) -> tuple[int, int]:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        try:
            header = next((row for row in reader if any(map(str.strip, row))), [])
        except csv.Error:
            return 0, 0
        return sum(_plain(cell) in known for cell in header), len(header)

    return max(_SEPARATORS, key=found)


def _rows(path: Path, text: str, separator: str, skipped: int) -> Iterator[tuple[int, list[str]]]:
    """Rows with content, each with the number of its first line."""
    lines = io.StringIO(text, newline="").readlines()
    reader = csv.reader(lines, delimiter=separator)
    first = end = 0
    try:
        for cells in reader:
            first, end = end, reader.line_num
            if any(map(str.strip, cells)):
                yield first + skipped + 1, cells
    except csv.Error as error:
        line = end + skipped + 1
        raise AvtError(f"{path}, line {line}: this is no row of a CSV file ({error}).") from error
    if _has_open_quote(lines[first:], separator):
        raise AvtError(f"{path}, line {first + skipped + 1}: a quote is never closed; close it.")


def _has_open_quote(lines: list[str], separator: str) -> bool:
    try:
        list(csv.reader(lines, delimiter=separator, strict=True))
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False


def _check_header(path: Path, header: list[str], columns: Sequence[str], hint: str) -> None:
    missing = [name for name in columns if name not in header]
    if missing:
        there = ", ".join(name for name in header if name)[:200] or "none"
        raise AvtError(
            f"{path} lacks the column {', '.join(missing)}; {hint}. Its first line has: {there}."
        )
    twice = [name for name, count in Counter(header).items() if name and count > 1]
    if twice:
        raise AvtError(f"{path} has the column {twice[0]} twice; remove or rename one.")


def _by_column(path: Path, line: int, header: list[str], cells: list[str]) -> dict[str, str]:
    if any(map(str.strip, cells[len(header) :])):
        raise AvtError(
            f"{path}, line {line}: {len(cells)} cells where the header has {len(header)} columns; "
            "put quotes around a text with separators in it."
        )
    pairs = zip_longest(header, cells[: len(header)], fillvalue="")
    return {name: cell for name, cell in pairs if name}
