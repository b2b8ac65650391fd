"""MELD's transcript tables: `{split}_sent_emo.csv`, one row per utterance."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from avt_memocmt.data.index import UNLABELLED, UtteranceKey
from avt_memocmt.data.table import optional_sentiment, read_table
from avt_memocmt.emotions import emotion_index
from avt_memocmt.errors import AvtError
from avt_memocmt.preprocessing.text_preprocess import clean_text

COLUMNS = (
    "Utterance",
    "Speaker",
    "Emotion",
    "Dialogue_ID",
    "Utterance_ID",
    "Season",
    "Episode",
    "StartTime",
    "EndTime",
)
"""Columns that are needed; "Sentiment" is read where it is there, "Sr No." never."""
_SENTIMENT = "Sentiment"

# 00:16:16,059 and 0:16:31,240; one row of the release has two digits behind the comma.
_TIME = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})(?:[,.](\d{1,6}))?")
# cp1252 text that was read as Latin-1, as older copies of the tables have it.
_WRONG_ENCODING = re.compile("[\x80-\x9f\xa0]")


@dataclass(frozen=True)
class MeldRow:
    """One annotated utterance.

    Attributes:
        key: split and ids.
        speaker: as written; joint speakers ("Joey and Chandler", "All") are a speaker of their own.
        text: its words, cleaned.
        emotion: index into `EMOTIONS`.
        episode: (season, episode), as written.
        start: seconds into the episode where it begins.
        end: seconds into the episode where it ends; at some rows not after `start`.
        is_repaired: whether characters of a wrong encoding were replaced.
        sentiment: index into `SENTIMENTS`, or `UNLABELLED`.
    """

    key: UtteranceKey
    speaker: str
    text: str
    emotion: int
    episode: tuple[str, str]
    start: float
    end: float
    is_repaired: bool
    sentiment: int = UNLABELLED

    @property
    def duration(self) -> float:
        """Seconds, 0 where the times are out of order."""
        return max(0.0, self.end - self.start)


def read_meld_table(path: Path, split: str) -> list[MeldRow]:
    """Read one `{split}_sent_emo.csv`, ordered by dialogue and utterance.

    Raises:
        AvtError: the file is missing, as of `read_table`, a row has an unknown emotion or
            sentiment, a bad id or a bad time, or two rows are one utterance; the message names the
            line.
    """
    if not path.exists():
        raise AvtError(f"{path} is missing; give a folder with the MELD transcripts.")
    hint = f"give MELD's own table with the columns {', '.join(COLUMNS)}"
    found: dict[UtteranceKey, MeldRow] = {}
    for read in read_table(path, COLUMNS, hint, optional=(_SENTIMENT,)):
        row = _row(f"{path}, line {read.line}", split, read.cells)
        if row.key in found:
            raise AvtError(
                f"{path}, line {read.line}: {row.key} is there twice; remove one of the rows."
            )
        found[row.key] = row
    return [found[key] for key in sorted(found)]


def parse_time(text: str) -> float | None:
    """Seconds of "00:16:16,059" or "0:16:16,059" (hours, minutes, seconds); None if it is neither.

    Digits behind the comma are decimals: ",28" is 0.28 s, which the file of that clip confirms.
    """
    match = _TIME.fullmatch(text)
    if match is None or int(match[2]) > 59 or int(match[3]) > 59:
        return None
    return int(match[1]) * 3600 + int(match[2]) * 60 + float(f"{match[3]}.{match[4] or 0}")


def _row(where: str, split: str, cells: dict[str, str]) -> MeldRow:
    try:
        emotion = emotion_index(cells["Emotion"])
        sentiment = optional_sentiment(cells.get(_SENTIMENT, ""))
    except AvtError as error:
        raise AvtError(f"{where}: {error}") from error
    key = UtteranceKey(split, _id(where, cells, "Dialogue_ID"), _id(where, cells, "Utterance_ID"))
    return MeldRow(
        key=key,
        speaker=clean_text(cells["Speaker"]),
        text=clean_text(cells["Utterance"]),
        emotion=emotion,
        episode=(cells["Season"].strip(), cells["Episode"].strip()),
        start=_seconds(where, cells, "StartTime"),
        end=_seconds(where, cells, "EndTime"),
        is_repaired=bool(_WRONG_ENCODING.search(cells["Utterance"] + cells["Speaker"])),
        sentiment=sentiment,
    )


def _id(where: str, cells: dict[str, str], column: str) -> int:
    # Only plain digits: int() also takes "1_0" and other scripts' digits.
    if not re.fullmatch(r"\s*[0-9]{1,9}\s*", cells[column]):
        raise AvtError(f"{where}: {column} {cells[column]!r} is not a whole number of 0 or more.")
    return int(cells[column])


def _seconds(where: str, cells: dict[str, str], column: str) -> float:
    seconds = parse_time(cells[column].strip())
    if seconds is None:
        raise AvtError(
            f"{where}: {column} {cells[column]!r} is not a time; write it as 00:16:16,059."
        )
    return seconds
