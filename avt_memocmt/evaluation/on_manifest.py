"""Measures a checkpoint on the labelled clips of a CSV manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from avt_memocmt.config import MODALITIES
from avt_memocmt.data.manifest import ManifestRow, nominal_seconds
from avt_memocmt.emotions import NUM_EMOTIONS
from avt_memocmt.errors import AvtError
from avt_memocmt.evaluation.evaluation import Evaluation, FailedRow
from avt_memocmt.inference.dialogue import DialogueReader
from avt_memocmt.inference.recognizer import Recognizer
from avt_memocmt.inference.results import ModalityUse, UtterancePrediction
from avt_memocmt.inference.turn_policy import find_words
from avt_memocmt.inference.utterances import Utterance

_UNKNOWN = (float("nan"),) * NUM_EMOTIONS
_NO_ANSWER = UtterancePrediction(
    *(0.0, 0.0, None, "", "none", _UNKNOWN, {m: ModalityUse(False, 0.0) for m in MODALITIES})
)


def evaluate_manifest(
    recognizer: Recognizer,
    dialogues: Iterable[Sequence[ManifestRow]],
    *,
    transcribe: bool = False,
    progress: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Predict every row, each dialogue from its first turn to its last with the past alone.

    A row that cannot be predicted counts as an error and is listed; the rest goes on.

    Args:
        dialogues: from `read_manifest`.
        transcribe: let the packaged recogniser listen where a row has no text.
        progress: called after every row.
    """
    rows: list[ManifestRow] = []
    answers: list[UtterancePrediction] = []
    failures: list[FailedRow] = []
    for turns in dialogues:
        dialogue = recognizer.new_dialogue()
        for row in turns:
            rows.append(row)
            try:
                answers.append(_predict_row(recognizer, dialogue, row, transcribe))
            except AvtError as error:
                answers.append(_NO_ANSWER)
                failures.append(FailedRow(row.line, str(row.path or ""), str(error)))
            progress()
    return Evaluation(
        tuple(f"line {row.line}" for row in rows),
        np.array([row.emotion for row in rows], np.int64),
        np.array([answer.probabilities for answer in answers]),
        tuple(row.dialogue for row in rows),
        tuple("+".join(m for m in MODALITIES if a.modalities[m].present) for a in answers),
        failures=tuple(failures),
        alone={
            m: np.array([answer.modalities[m].probabilities or _UNKNOWN for answer in answers])
            for m in MODALITIES
        },
    )


def _predict_row(
    recognizer: Recognizer, dialogue: DialogueReader, row: ManifestRow, transcribe: bool
) -> UtterancePrediction:
    if row.path is None:
        utterance = Utterance(0.0, nominal_seconds(row.text), None, (), is_speech=False)
    else:
        utterance = recognizer.read_whole(row.path, row.start, row.end)
    utterance = replace(utterance, text=row.text, speaker=row.speaker)
    if utterance.is_empty:
        raise AvtError("nothing to judge: no audible sound, no face and no text.")
    return dialogue.read(*find_words(utterance, recognizer.listen if transcribe else None))
