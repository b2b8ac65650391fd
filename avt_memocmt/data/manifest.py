"""Reading a CSV manifest of labelled clips."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from avt_memocmt.data.table import optional_sentiment, read_table
from avt_memocmt.emotions import emotion_index
from avt_memocmt.errors import AvtError
from avt_memocmt.preprocessing.text_preprocess import clean_text

REQUIRED = ("path", "text", "emotion")
OPTIONAL = ("dialogue_id", "utterance_id", "speaker", "start", "end", "sentiment")
_SECONDS_PER_WORD = 0.33
_NUMBER = re.compile(r"[0-9]+(?:[.,][0-9]*)?(?:[eE][+-]?[0-9]{1,3})?|[.,][0-9]+")


@dataclass(frozen=True)
class ManifestRow:
    """One labelled utterance.

    Attributes:
        line: number of its first line in the manifest, from 1.
        path: its media file, or None for text alone.
        text: its words, "" for none.
        emotion: index into `EMOTIONS`.
        dialogue: what its turns share; unique where the manifest gives none.
        utterance: position in the dialogue.
        speaker: or None.
        start: seconds into the media where it begins.
        end: seconds where it ends, or None for the end of the media.
        sentiment: index into `SENTIMENTS`, or `UNLABELLED`.
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
    sentiment: int
    cells: Mapping[str, str]


def nominal_seconds(text: str) -> float:
    """Seconds that it takes to say a text of which there is no recording, at least one word's."""
    return _SECONDS_PER_WORD * max(1, len(text.split()))


def read_manifest(path: str | Path) -> list[list[ManifestRow]]:
    """Read a manifest into dialogues, each in utterance order.

    `read_table` says what is read of a CSV file. Columns: path, text, emotion, and optionally
    dialogue_id, utterance_id, speaker, start, end, sentiment; others are kept as they are. Relative
    paths resolve against the manifest's folder. Rows without a dialogue_id are dialogues of one
    turn.

    Raises:
        AvtError: as of `read_table`, or a row has an unknown emotion or sentiment or a time that is
            no number; the message names the line.
    """
    path = Path(path)
    hint = (
        f"the columns are {', '.join(REQUIRED)} and optionally {', '.join(OPTIONAL)}; of MELD's "
        "own tables give the folder, with --meld"
    )
    table = read_table(path, REQUIRED, hint, "the manifest", OPTIONAL)
    rows = [_row(path, row.line, row.cells) for row in table]
    dialogues: dict[str, list[ManifestRow]] = {}
    for row in rows:
        dialogues.setdefault(row.dialogue, []).append(row)
    return [sorted(turns, key=lambda row: row.utterance) for turns in dialogues.values()]


def _row(manifest: Path, line: int, cells: dict[str, str]) -> ManifestRow:
    cells = {name: cell.strip() for name, cell in cells.items()}

    def cell(name: str) -> str:
        return cells.get(name, "")

    try:
        emotion = emotion_index(cell("emotion"))
        sentiment = optional_sentiment(cell("sentiment"))
    except AvtError as error:
        raise AvtError(f"{manifest}, line {line}: {error}") from error
    dialogue = cell("dialogue_id")
    return ManifestRow(
        line=line,
        path=_media_path(manifest.parent, cell("path")),
        text=clean_text(cell("text")),
        emotion=emotion,
        dialogue=f"dialogue {dialogue}" if dialogue else f"line {line}",
        utterance=_number(manifest, line, "utterance_id", cell("utterance_id")) or 0.0,
        speaker=cell("speaker") or None,
        start=_number(manifest, line, "start", cell("start")) or 0.0,
        end=_number(manifest, line, "end", cell("end")),
        sentiment=sentiment,
        cells=cells,
    )


def _media_path(folder: Path, cell: str) -> Path | None:
    """The file that a cell names; one written on Windows is found elsewhere too."""
    if not cell:
        return None
    path = folder / cell
    return folder / cell.replace("\\", "/") if "\\" in cell and not path.exists() else path


def _number(manifest: Path, line: int, column: str, text: str) -> float | None:
    if not text:
        return None
    # Excel writes a decimal comma in half of the world.
    if not _NUMBER.fullmatch(text) or float(text.replace(",", ".")) == float("inf"):
        raise AvtError(f"{manifest}, line {line}: {column} {text!r} is not a number of 0 or more.")
    return float(text.replace(",", "."))
