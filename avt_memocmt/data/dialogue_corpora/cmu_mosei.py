"""CMU-MOSEI (Zadeh et al. 2018): its raw release, with the ratings of each annotator."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

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
from avt_memocmt.emotions import EMOTIONS, emotion_index, sentiment_of_score
from avt_memocmt.errors import AvtError
from avt_memocmt.preprocessing.text_file import read_text_file
from avt_memocmt.preprocessing.text_preprocess import clean_text

FOLDS = "cmu_mosei_std_folds.py"
_MAX_BYTES = 200_000_000
_TRANSCRIPTS, _LABELS = "Raw/Transcript/Segmented/Combined", "Raw/Labels"
_RATED = ("happiness", "sadness", "anger", "fear", "disgust", "surprise")
_VIDEO, _CLIP = "Input.VIDEO_ID", "Input.CLIP"

Ratings = dict[str, list[float]]
"""By "sentiment" (-3 to 3) and the names of the six emotions (0 to 3), one of each annotator."""


Segment = tuple[float, float, int, str]
"""Start and end in seconds, number of the clip, words."""


def index_cmu_mosei(
    corpus: Path, *, workers: int = 1, progress: Progress | None = None
) -> CorpusIndex:
    """Index CMU-MOSEI: a video is a dialogue of one speaker, its segments are the utterances.

    The emotion is the one of the six with the highest mean rating, neutral where all are 0; of two
    equally strong ones neither. The sentiment is the sign of its mean rating.

    Args:
        corpus: the folder with Raw/ and `FOLDS`.
        workers: processes that open files.
        progress: called with the files checked and all files.

    Raises:
        AvtError: the folder is not that of CMU-MOSEI, or a file cannot be read.
    """
    require_folders(corpus, "CMU-MOSEI", (_TRANSCRIPTS, _LABELS))
    splits, ratings = read_folds(corpus / FOLDS), _read_ratings(corpus / _LABELS)
    found: list[FoundUtterance] = []
    left_out: list[Fault] = []
    for dialogue, path in enumerate(sorted((corpus / _TRANSCRIPTS).glob("*.txt"))):
        if path.stem not in splits:
            left_out.append(Fault(FaultKind.NO_SPLIT, "", path.stem))
            continue
        split = splits[path.stem]
        rows, bad = _read_lines(path)
        found += _segments(corpus / "Raw", path.stem, rows, (split, dialogue), ratings)
        left_out += [Fault(FaultKind.BAD_LINE, split, f"{path.stem}, line {line}") for line in bad]
    return build_index(found, left_out=left_out, workers=workers, progress=progress)


def _read_lines(path: Path) -> tuple[list[Segment], list[int]]:
    """The lines VIDEO___CLIP___START___END___WORDS in the order of time; numbers of other lines."""
    rows: list[Segment] = []
    bad = []
    text = read_text_file(path, "the transcript", _MAX_BYTES)
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            _, clip, start, end, words = line.split("___", 4)
            rows.append((float(start), float(end), int(clip), words))
        except ValueError:
            bad += [number] if line.strip() else []
    return sorted(rows), bad


def _segments(
    raw: Path,
    video: str,
    rows: Sequence[Segment],
    key: tuple[str, int],
    ratings: dict[tuple[str, str], Ratings],
) -> Iterator[FoundUtterance]:
    whole = first_file(
        raw / "Videos/Full/Combined" / f"{video}.mp4",
        raw / "Audio/Full/WAV_16000" / f"{video}.wav",
    )
    for number, (start, end, clip, words) in enumerate(rows):
        cut = first_file(raw / "Videos/Segmented/Combined" / f"{video}_{clip}.mp4")
        given = ratings.get((video, str(clip)), {})
        emotion, fault, detail = _emotion(given)
        record = UtteranceRecord(
            *key,
            number,
            speaker=video,
            text=clean_text(words),
            emotion=emotion,
            path=cut or whole,
            start=0.0 if cut else start,
            end=end - start if cut else end,
            sentiment=sentiment_of_score(fmean(given["sentiment"])) if given else UNLABELLED,
        )
        yield FoundUtterance(f"{video}_{clip}", record, fault, detail)


def _emotion(given: Ratings) -> tuple[int, FaultKind | None, str]:
    means = {name: fmean(given[name]) for name in _RATED if given.get(name)}
    if not means:
        return UNLABELLED, FaultKind.NO_LABEL, ""
    most = max(means.values())
    if most <= 0:
        return EMOTIONS.index("neutral"), None, ""
    strongest = [name for name, mean in means.items() if mean == most]
    if len(strongest) > 1:
        return UNLABELLED, FaultKind.NO_AGREEMENT, " and ".join(strongest)
    return emotion_index(strongest[0]), None, ""


def _read_ratings(folder: Path) -> dict[tuple[str, str], Ratings]:
    """Ratings by video and clip, out of all tables of Mechanical Turk in a folder.

    Raises:
        AvtError: no table has them.
    """
    found: dict[tuple[str, str], Ratings] = {}
    for path in sorted(folder.glob("*.csv")):
        text = read_text_file(path, "the table of labels", _MAX_BYTES)
        reader = csv.DictReader(io.StringIO(text, newline=""))
        if not {_VIDEO, _CLIP, "Answer.sentiment"} <= set(reader.fieldnames or ()):
            continue
        for row in reader:
            # One of the tables has the folder of the video before its name.
            video = (row[_VIDEO] or "").rpartition("/")[2]
            own = found.setdefault((video, row[_CLIP] or ""), {})
            for name in ("sentiment", *_RATED):
                answer = row.get(f"Answer.{name}")
                if answer and _is_number(answer):
                    own.setdefault(name, []).append(float(answer))
    if not found:
        raise AvtError(f"{folder} holds no table with the columns {_VIDEO}, {_CLIP} and Answer.*.")
    return {key: own for key, own in found.items() if "sentiment" in own}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
