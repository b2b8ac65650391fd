"""M3ED (Zhao et al. 2022): dialogues of two in Chinese series, with clips cut out of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from avt_memocmt.data.clip_probe import Progress
from avt_memocmt.data.corpus_index import CorpusIndex
from avt_memocmt.data.dialogue_corpora.found import FoundUtterance, build_index, require_folders
from avt_memocmt.data.faults import Fault, FaultKind
from avt_memocmt.data.index import SPLITS, UNLABELLED, UtteranceRecord
from avt_memocmt.emotions import emotion_index
from avt_memocmt.errors import AvtError
from avt_memocmt.media.discovery import MEDIA_SUFFIXES
from avt_memocmt.preprocessing.text_file import read_text_file
from avt_memocmt.preprocessing.text_preprocess import clean_text

_ANNOTATION = "annotation.json"
_MAX_BYTES = 100_000_000
_FRAMES_A_SECOND = 25
_LISTS = {
    f"splitInfo/movie_list_{name}.txt": split
    for name, split in zip(("train", "val", "test"), SPLITS, strict=True)
}


def index_m3ed(corpus: Path, *, workers: int = 1, progress: Progress | None = None) -> CorpusIndex:
    """Index M3ED, whose lists divide it by series.

    A clip is any media file below the folder that is named by its utterance, with the letter of
    the speaker before it or without: `A_anjia_1_1.wav`, `anjia_1_1.mp4`. Of several the one with
    pictures or else the first counts.

    Args:
        corpus: the folder with annotation.json and splitInfo/.
        workers: processes that open files.
        progress: called with the files checked and all files.

    Raises:
        AvtError: the folder is not that of M3ED, or a file cannot be read.
    """
    require_folders(corpus, "M3ED", (_ANNOTATION, *_LISTS))
    splits = {
        series.strip(): split
        for name, split in _LISTS.items()
        for series in read_text_file(corpus / name, "the list", _MAX_BYTES).splitlines()
    }
    clips: dict[str, Path] = {}
    for path in sorted(corpus.absolute().rglob("*"), key=lambda p: (p.suffix == ".wav", p)):
        if path.suffix.lower() in MEDIA_SUFFIXES:
            clips.setdefault(path.stem, path)
    annotation = corpus / _ANNOTATION
    found: list[FoundUtterance] = []
    left_out, dialogues = [], 0
    try:
        for series, scenes in json.loads(
            read_text_file(annotation, "the annotation", _MAX_BYTES)
        ).items():
            if series not in splits:
                left_out.append(Fault(FaultKind.NO_SPLIT, "", series))
                continue
            for scene in scenes.values():
                found += _utterances(series, scene, (splits[series], dialogues), clips)
                dialogues += 1
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise AvtError(f"{annotation} is not the annotation of M3ED ({error!r}).") from error
    return build_index(found, left_out=left_out, workers=workers, progress=progress)


def _utterances(
    series: str, scene: dict[str, Any], key: tuple[str, int], clips: dict[str, Path]
) -> Iterator[FoundUtterance]:
    """The utterances of one dialogue; their last number is their place in it."""
    people = {letter: person.get("Name") for letter, person in scene["SpeakerInfo"].items()}
    for name, said in scene["Dialog"].items():
        letter, label = said["Speaker"], said["EmoAnnotation"]["final_main_emo"]
        clip = clips.get(f"{letter}_{name}") or clips.get(name)
        try:
            emotion, fault = emotion_index(label), None
        except AvtError:
            emotion, fault = UNLABELLED, FaultKind.OTHER_LABEL
        record = UtteranceRecord(
            *key,
            int(name.rpartition("_")[2]),
            speaker=f"{series} {people.get(letter) or letter}",
            text=clean_text(said["Text"]),
            emotion=emotion,
            path=None if clip is None else str(clip),
            end=None if clip else _seconds(said["EndTime"]) - _seconds(said["StartTime"]),
        )
        yield FoundUtterance(name, record, fault, label)


def _seconds(time: str) -> float:
    """Seconds of HOURS:MINUTES:SECONDS:FRAMES, as "00:14:40:23"."""
    hours, minutes, seconds, frames = map(int, time.split(":"))
    return 3600 * hours + 60 * minutes + seconds + frames / _FRAMES_A_SECOND
