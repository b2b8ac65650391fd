"""IEMOCAP (Busso et al. 2008), as its makers give it out: IEMOCAP_full_release/Session1 to 5."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from avt_memocmt.data.clip_probe import Progress
from avt_memocmt.data.corpus_index import CorpusIndex
from avt_memocmt.data.dialogue_corpora.found import (
    FoundUtterance,
    build_index,
    first_file,
    require_folders,
)
from avt_memocmt.data.faults import FaultKind
from avt_memocmt.data.index import UNLABELLED, UtteranceRecord
from avt_memocmt.emotions import EMOTIONS, IEMOCAP_4, IEMOCAP_6, IEMOCAP_6_LABELS
from avt_memocmt.preprocessing.text_file import read_text_file
from avt_memocmt.preprocessing.text_preprocess import clean_text

SESSIONS = range(1, 6)
_MAX_BYTES = 10_000_000
_EVALUATIONS, _TRANSCRIPTS = "dialog/EmoEvaluation", "dialog/transcriptions"
# [6.2901 - 8.2357]	Ses01F_impro01_F000	neu	[2.5000, 2.5000, 2.5000]
_RATED = re.compile(r"\[([\d.]+) - ([\d.]+)\]\t(Ses\d\d)([FM]_\w+)_([FM])(\w+)\t(\w+)\t")
# Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.
_SAID = re.compile(r"(Ses\w+) \[[\d.]+-[\d.]+\]:(.*)")


def index_iemocap(
    corpus: Path,
    classes: Literal[4, 6],
    test_session: int,
    *,
    film: bool = False,
    workers: int = 1,
    progress: Progress | None = None,
) -> CorpusIndex:
    """Index IEMOCAP with one session left out for the test.

    The session after it (after 5 comes 1) is dev, the other three are train, so that no speaker is
    in two splits and every session is dev once. Every rated utterance is indexed; one that is in
    none of the classes has no label and is context alone.

    Args:
        corpus: the folder with Session1 to Session5.
        classes: 4, of the seven emotions and with excited as joy; or 6, labels of their own.
        test_session: 1 to 5.
        film: take the film of the dialogue, which shows both talkers side by side, in place of the
            sound of the sentence.
        workers: processes that open files.
        progress: called with the files checked and all files.

    Raises:
        AvtError: the folder is not that of IEMOCAP, or a file cannot be read.
    """
    parts = [f"Session{n}/{part}" for n in SESSIONS for part in (_EVALUATIONS, _TRANSCRIPTS)]
    require_folders(corpus, "IEMOCAP", parts)
    labels, names = (EMOTIONS, IEMOCAP_4) if classes == 4 else (IEMOCAP_6_LABELS, IEMOCAP_6)
    codes = {code: labels.index(name) for code, name in names.items()}
    splits = {test_session: "test", test_session % len(SESSIONS) + 1: "dev"}
    found: list[FoundUtterance] = []
    dialogues = 0
    for session in SESSIONS:
        folder = corpus / f"Session{session}"
        for path in sorted((folder / _EVALUATIONS).glob("Ses*.txt")):
            split = splits.get(session, "train")
            found += _dialogue(folder, path, (split, dialogues), codes, film)
            dialogues += 1
    return build_index(found, labels, workers=workers, progress=progress)


def _dialogue(
    folder: Path, path: Path, key: tuple[str, int], codes: dict[str, int], film: bool
) -> Iterator[FoundUtterance]:
    """The rated utterances of one dialogue, in the order in which they begin."""
    said = _words(folder / _TRANSCRIPTS / path.name)
    rated = _RATED.findall(read_text_file(path, "the evaluation", _MAX_BYTES))
    rated.sort(key=lambda row: (float(row[0]), float(row[1])))
    for number, (start, end, session, dialogue, gender, turn, code) in enumerate(rated):
        name = f"{session}{dialogue}_{gender}{turn}"
        media = folder / "sentences" / "wav" / path.stem / f"{name}.wav"
        if film:
            media = folder / "dialog" / "avi" / "DivX" / f"{path.stem}.avi"
        # The sound of a sentence begins with it, the film of a dialogue long before.
        begin, until = (float(start), float(end)) if film else (0.0, float(end) - float(start))
        fault = None
        if code not in codes:
            fault = FaultKind.NO_AGREEMENT if code == "xxx" else FaultKind.OTHER_LABEL
        record = UtteranceRecord(
            *key,
            number,
            speaker=f"{session}{gender}",
            text=clean_text(said.get(name, "")),
            emotion=codes.get(code, UNLABELLED),
            path=first_file(media),
            start=begin,
            end=until,
        )
        yield FoundUtterance(name, record, fault, code)


def _words(path: Path) -> dict[str, str]:
    """What is said in each utterance of a dialogue; empty where there is no transcript."""
    if not path.is_file():
        return {}
    return dict(_SAID.findall(read_text_file(path, "the transcript", _MAX_BYTES)))
