"""Writes and reads results.csv, a row per network, seed and split, and its summary results.md."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.errors import AvtError
from avt_memocmt.evaluation.answers import SENTIMENT_SCORES
from avt_memocmt.evaluation.evaluation import Evaluation
from avt_memocmt.evaluation.provenance import Provenance
from avt_memocmt.files import write_csv, write_text_atomically
from avt_memocmt.metrics.scores import MAIN_SCORES, mean_and_deviation
from avt_memocmt.wording import SCORE_NAMES, markdown, with_interval

RESULTS_FILE = "results.csv"
SUMMARY_FILE = "results.md"

_KEY = ("model", "seed", "split", "context", "checkpoint_sha256", "data_sha256")
"""A row with the same key is replaced."""
_GROUP = ("model", "split", "context", "data_sha256")
"""Rows that differ in nothing but the seed."""
_RECALL = "recall_"
_ADVICE = "move it away, or give another folder with --experiments."
_SENTIMENT = tuple(f"sentiment_{name}" for name in SENTIMENT_SCORES)
"""Figures of networks with that head."""
_ADDED = (
    *("macro_precision", "macro_precision_low", "macro_precision_high", "roc_auc"),
    *_SENTIMENT,
)
"""Figures that tables written by version 0.1.0 lack; such a table is read, and gets their columns
when it is written again."""

ResultRow = dict[str, str]
"""One row of results.csv as text, by column."""


def figure_columns(labels: Sequence[str] = EMOTIONS) -> tuple[str, ...]:
    """The columns of a results.csv with figures, for these classes.

    Figures are shares from 0 to 1; `_low` and `_high` bound the 95 % interval over dialogues; a
    cell is empty where a class does not occur, nothing was predicted, or the network has no such
    head.
    """
    return (
        *MAIN_SCORES,
        "roc_auc",
        *_SENTIMENT,
        "ece",
        *(f"{_RECALL}{name}" for name in labels),
        *(f"f1_{name}" for name in labels),
        *(f"{name}_{side}" for name in MAIN_SCORES for side in ("low", "high")),
    )


def columns_of(labels: Sequence[str] = EMOTIONS) -> tuple[str, ...]:
    """All columns of a results.csv for these classes; one file is of one set of classes."""
    return (
        *("model", "seed", "split", "context", "n"),
        *figure_columns(labels),
        *("selection", "code", "checkpoint_sha256", "data_sha256"),
    )


def result_row(evaluation: Evaluation, provenance: Provenance) -> ResultRow:
    """The row of one evaluation; the same evaluation gives the same text."""
    figures = evaluation.figures()
    for kind in ("recall", "f1"):
        figures |= {f"{kind}_{name}": value for name, value in figures[kind].items()}
    for name, (low, high) in figures["intervals_95"].items():
        figures |= {f"{name}_low": low, f"{name}_high": high}
    figures |= {f"sentiment_{name}": x for name, x in figures.pop("sentiment", {}).items()}
    row = {name: str(value) for name, value in {**asdict(provenance), "n": figures["n"]}.items()}
    for name in figure_columns(evaluation.labels):
        figure = figures.get(name)
        row[name] = "" if figure is None else f"{figure:.6f}"
    return {name: row[name] for name in columns_of(evaluation.labels)}


def read_results(path: Path) -> list[ResultRow]:
    """The rows of a results.csv; none where there is no such file.

    Raises:
        AvtError: the file cannot be read or is not such a table.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            columns = tuple(reader.fieldnames or ())
            rows = list(reader)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise AvtError(f"cannot read {path}: {error.strerror}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise AvtError(f"{path} is not a CSV file in UTF-8; {_ADVICE}") from error
    labels = _labels_in(columns)
    known = columns_of(labels)
    if columns != tuple(c for c in known if c in columns or c not in _ADDED):
        odd = next((c for c in (*columns, *known) if (c in columns) != (c in known)), "order")
        raise AvtError(f"{path} is another table (column {odd}); {_ADVICE}")
    for line, row in enumerate(rows, start=2):
        if not _is_whole(row, figure_columns(labels)):
            raise AvtError(f"{path}, line {line} is damaged; {_ADVICE}")
    return [{name: row.get(name, "") for name in known} for row in rows]


def append_result(path: Path, row: ResultRow) -> list[ResultRow]:
    """Put a row into a results.csv, in the place of one with the same key if there is one.

    Returns:
        All rows, in the order of the file.

    Raises:
        AvtError: what is there is not such a table (it stays as it is) or is of other classes, or
            it cannot be written.
    """
    there = read_results(path)
    if there and there[0].keys() != row.keys():
        odd = next(name for name in row if name not in there[0])
        raise AvtError(f"{path} is of other classes (it has no {odd}); {_ADVICE}")
    rows = {_cells(other, _KEY): other for other in [*there, row]}
    write_csv(path, tuple(row), rows.values())
    return list(rows.values())


def record_result(folder: Path, evaluation: Evaluation, provenance: Provenance) -> None:
    """Put one evaluation into results.csv and write results.md again.

    Raises:
        AvtError: as of `append_result`.
    """
    rows = append_result(folder / RESULTS_FILE, result_row(evaluation, provenance))
    write_text_atomically(folder / SUMMARY_FILE, markdown_table(rows))


def markdown_table(rows: Sequence[ResultRow]) -> str:
    """Mean ± standard deviation over seeds for each network, split and context, as Markdown.

    Of several rows with one seed the latest counts. A single seed has its 95 % interval over
    dialogues instead of a deviation.
    """
    groups: dict[tuple[str, ...], dict[str, ResultRow]] = {}
    for row in rows:
        groups.setdefault(_cells(row, _GROUP), {})[row["seed"]] = row
    lines = []
    for (model, split, context, _), by_seed in groups.items():
        members = list(by_seed.values())
        cells = (_summary(name, members) for name in SCORE_NAMES)
        name = model.replace("|", "\\|")
        lines.append((name, split, context, str(len(members)), members[0]["n"], *cells))
    headings = ("model", "split", "context", "seeds", "n", *SCORE_NAMES.values())
    note = (
        "Mean ± standard deviation over seeds; for one seed the 95 % bootstrap interval over "
        "dialogues."
    )
    return f"{markdown(headings, lines)}\n\n{note}\n"


def _summary(name: str, members: Sequence[ResultRow]) -> str:
    """One cell of the Markdown table."""
    values = [float(row[name]) for row in members if row[name]]
    if not values:
        return ""
    mean, deviation = mean_and_deviation(values)
    if deviation is not None:
        return f"{mean:.3f} ± {deviation:.3f}"
    if f"{name}_low" not in members[0]:
        return f"{mean:.3f}"
    return with_interval(mean, [float(members[0][f"{name}_{side}"]) for side in ("low", "high")])


def _labels_in(columns: Sequence[str]) -> tuple[str, ...]:
    """The classes whose recall a table has; those of `EMOTIONS` where it has none."""
    found = (name.removeprefix(_RECALL) for name in columns if name.startswith(_RECALL))
    return tuple(found) or EMOTIONS


def _is_whole(row: dict[str, str], figures: Sequence[str]) -> bool:
    """Whether a row has one cell per column, and numbers where they belong."""
    if None in row or None in row.values():
        return False
    try:
        for name in ("seed", "n"):
            int(row[name])
        for name in figures:
            float(row.get(name) or 0)
    except ValueError:
        return False
    return True


def _cells(row: ResultRow, columns: Iterable[str]) -> tuple[str, ...]:
    return tuple(row[name] for name in columns)
