"""Reading a CSV manifest of labelled clips."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from avt_memocmt.emotions import emotion_index
from avt_memocmt.errors import AvtError
from avt_memocmt.preprocessing.text_preprocess import clean_text

REQUIRED = ("path", "text", "emotion")
OPTIONAL = ("dialogue_id", "utterance_id", "speaker", "start", "end")
_SECONDS_PER_WORD = 0.33


@dataclass(frozen=True)
class ManifestRow:
    """One labelled utterance.

    Attributes:
        line: line number in the manifest, the header being line 1.
        path: its media file, or None for text alone.
        text: its words, "" for none.
        emotion: index into `EMOTIONS`.
        dialogue: what its turns share; unique where the manifest gives none.
        utterance: position in the dialogue.
        speaker: or None.
        start: seconds into the media where it begins.
        end: seconds where it ends, or None for the end of the media.
        cells: what stands in each column, further ones included.
    """

    line: int
    path: Path | None
    text: str
    emotion: int
    dialogue: str
    utterance: float
    speaker: str | None
    start: float
    end: float | None
    cells: Mapping[str, str]


def nominal_seconds(text: str) -> float:
    """Seconds that it takes to say a text of which there is no recording, at least one word's."""
    return _SECONDS_PER_WORD * max(1, len(text.split()))


def read_manifest(path: str | Path) -> list[list[ManifestRow]]:
    """Read a manifest into dialogues, each in utterance order.

    Columns: path, text, emotion, and optionally dialogue_id, utterance_id, speaker, start, end;
    others are kept as they are.
    Relative paths resolve against the manifest's folder. Rows without a dialogue_id are dialogues
    of one turn.

    Raises:
        AvtError: the file cannot be read, lacks a column, is empty, or a row has an unknown emotion
            or a time that is no number; the message names the line.
    """
    path = Path(path)
    hint = f"the columns are {', '.join(REQUIRED)} and optionally {', '.join(OPTIONAL)}"
    table = read_table(path, REQUIRED, hint, "the manifest ")
    rows = [_row(path, number, raw) for number, (_, raw) in enumerate(table, start=2)]
    dialogues: dict[str, list[ManifestRow]] = {}
    for row in rows:
        dialogues.setdefault(row.dialogue, []).append(row)
    return [sorted(turns, key=lambda row: row.utterance) for turns in dialogues.values()]


def read_table(
    path: Path, columns: Sequence[str], hint: str, kind: str = ""
) -> list[tuple[int, dict[str, str | None]]]:
    """Read a CSV file in UTF-8 with a header.

    Args:
        path: the file.
        columns: the names that the header must have.
        hint: for the message where one is missing: what to give.
        kind: for the message where the file cannot be read, such as "the manifest ".

    Returns:
        The number of the last line of each row, and its cells by column.

    Raises:
        AvtError: the file cannot be read, is no CSV in UTF-8, lacks a column, or has no rows.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in columns if name not in (reader.fieldnames or [])]
            if missing:
                raise AvtError(f"{path} lacks the column {', '.join(missing)}; {hint}.")
            rows = [(reader.line_num, raw) for raw in reader]
    except OSError as error:
        raise AvtError(f"cannot read {kind}{path}: {error.strerror}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise AvtError(f"{path} is not a CSV file in UTF-8: {error}.") from error
    if not rows:
        raise AvtError(f"{path} has no rows; give one row per utterance.")
    return rows


def _row(manifest: Path, line: int, raw: dict[str, str | None]) -> ManifestRow:
    def cell(name: str) -> str:
        return (raw.get(name) or "").strip()

    try:
        emotion = emotion_index(cell("emotion"))
    except AvtError as error:
        raise AvtError(f"{manifest}, line {line}: {error}") from error
    dialogue = cell("dialogue_id")
    return ManifestRow(
        line=line,
        path=manifest.parent / cell("path") if cell("path") else None,
        text=clean_text(cell("text")),
        emotion=emotion,
        dialogue=f"dialogue {dialogue}" if dialogue else f"line {line}",
        utterance=_number(manifest, line, "utterance_id", cell("utterance_id")) or 0.0,
        speaker=cell("speaker") or None,
        start=_number(manifest, line, "start", cell("start")) or 0.0,
        end=_number(manifest, line, "end", cell("end")),
        # What lies beyond the header stands under None.
        cells={name: cell(name) for name in raw if isinstance(name, str)},
    )


def _number(manifest: Path, line: int, column: str, text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value < float("inf"):
        raise AvtError(f"{manifest}, line {line}: {column} {text!r} is not a number of 0 or more.")
    return value
