"""CMU-MOSI (Zadeh et al. 2016): its raw release, opinions with a sentiment from -3 to 3."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from avt_memocmt.data.clip_probe import Progress
from avt_memocmt.data.corpus_index import CorpusIndex
from avt_memocmt.data.dialogue_corpora.cmu_folds import read_folds
from avt_memocmt.data.dialogue_corpora.found import (
    FoundUtterance,
    build_index,
    first_file,
    require_folders,
)
from avt_memocmt.data.faults import Fault, FaultKind
from avt_memocmt.data.index import UNLABELLED, UtteranceRecord
from avt_memocmt.emotions import SENTIMENTS, sentiment_of_score
from avt_memocmt.errors import AvtError
from avt_memocmt.preprocessing.text_file import read_text_file
from avt_memocmt.preprocessing.text_preprocess import clean_text

FOLDS = "cmu_mosi_std_folds.py"
_MAX_BYTES = 10_000_000
_TRANSCRIPTS, _LABELS = "Raw/Transcript/Segmented", "Raw/Labels/OpinionLevelSentiment.csv"
_SAID = re.compile(r"^(\d+)_DELIM_(.*)$", re.MULTILINE)

Opinions = dict[tuple[str, int], tuple[float, float]]
"""By video and segment its length in seconds and its score."""


def index_cmu_mosi(
    corpus: Path, *, workers: int = 1, progress: Progress | None = None
) -> CorpusIndex:
    """Index CMU-MOSI: a video is a dialogue of one speaker, its segments are the utterances.

    It has no emotions: the classes of the index are `SENTIMENTS`, the sign of the score.

    Args:
        corpus: the folder with Raw/ and `FOLDS`.
        workers: processes that open files.
        progress: called with the files checked and all files.

    Raises:
        AvtError: the folder is not that of CMU-MOSI, or a file cannot be read.
    """
    require_folders(corpus, "CMU-MOSI", (_TRANSCRIPTS, _LABELS))
    splits, opinions = read_folds(corpus / FOLDS), _read_opinions(corpus / _LABELS)
    found: list[FoundUtterance] = []
    left_out: list[Fault] = []
    for dialogue, path in enumerate(sorted((corpus / _TRANSCRIPTS).glob("*.annotprocessed"))):
        if path.stem in splits:
            found += _segments(corpus / "Raw", path, (splits[path.stem], dialogue), opinions)
        else:
            left_out.append(Fault(FaultKind.NO_SPLIT, "", path.stem))
    return build_index(found, SENTIMENTS, left_out=left_out, workers=workers, progress=progress)


def _segments(
    raw: Path, path: Path, key: tuple[str, int], opinions: Opinions
) -> Iterator[FoundUtterance]:
    """The lines NUMBER_DELIM_WORDS of one video, and what has a score without a line."""
    lines = _SAID.findall(read_text_file(path, "the transcript", _MAX_BYTES))
    said = {int(number): words for number, words in lines}
    scored = {number for video, number in opinions if video == path.stem}
    for number in sorted({*said, *scored}):
        name = f"{path.stem}_{number}"
        seconds, score = opinions.get((path.stem, number), (None, None))
        record = UtteranceRecord(
            *key,
            number,
            speaker=path.stem,
            text=clean_text(said.get(number, "")),
            emotion=UNLABELLED if score is None else sentiment_of_score(score),
            path=first_file(
                raw / "Video/Segmented" / f"{name}.mp4",
                raw / "Audio/WAV_16000/Segmented" / f"{name}.wav",
            ),
            end=seconds,
        )
        yield FoundUtterance(name, record, FaultKind.NO_LABEL if score is None else None)


def _read_opinions(path: Path) -> Opinions:
    """The rows START, END, VIDEO, SEGMENT, SCORE of a table without a header.

    Raises:
        AvtError: a row is another.
    """
    text = read_text_file(path, "the table of labels", _MAX_BYTES)
    found: Opinions = {}
    for line, row in enumerate(csv.reader(io.StringIO(text, newline="")), start=1):
        try:
            start, end, video, segment, score = row
            found[video, int(segment)] = float(end) - float(start), float(score)
        except ValueError as error:
            raise AvtError(
                f"{path}, line {line} is not START, END, VIDEO, SEGMENT, SCORE."
            ) from error
    return found
