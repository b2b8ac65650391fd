"""Measuring a checkpoint on anybody's labelled clips, given as a CSV manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from avt_memocmt.config import MODALITIES
from avt_memocmt.data.manifest import ManifestRow
from avt_memocmt.emotions import NUM_EMOTIONS
from avt_memocmt.errors import AvtError
from avt_memocmt.evaluation.evaluation import Evaluation, FailedRow
from avt_memocmt.inference.dialogue import DialogueReader
from avt_memocmt.inference.recognizer import Recognizer
from avt_memocmt.inference.results import UtterancePrediction
from avt_memocmt.inference.utterances import Utterance

_UNKNOWN = (float("nan"),) * NUM_EMOTIONS


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
    probabilities: list[tuple[float, ...]] = []
    alone: dict[str, list[tuple[float, ...]]] = {m: [] for m in MODALITIES}
    present: list[str] = []
    failures: list[FailedRow] = []
    for turns in dialogues:
        dialogue = recognizer.new_dialogue()
        for row in turns:
            rows.append(row)
            try:
                found = _predict_row(recognizer, dialogue, row, transcribe)
            except AvtError as error:
                failures.append(FailedRow(row.line, str(row.path or ""), str(error)))
                probabilities.append(_UNKNOWN)
                present.append("")
                for said in alone.values():
                    said.append(_UNKNOWN)
            else:
                probabilities.append(found.probabilities)
                for m, said in alone.items():
                    said.append(found.modalities[m].probabilities or _UNKNOWN)
                present.append("+".join(m for m in MODALITIES if found.modalities[m].present))
            progress()
    return Evaluation(
        tuple(f"line {row.line}" for row in rows),
        np.array([row.emotion for row in rows], np.int64),
        np.array(probabilities),
        tuple(row.dialogue for row in rows),
        tuple(present),
        failures=tuple(failures),
        alone={m: np.array(said) for m, said in alone.items()},
    )


def _predict_row(
    recognizer: Recognizer, dialogue: DialogueReader, row: ManifestRow, transcribe: bool
) -> UtterancePrediction:
    if row.path is None:
        utterance = Utterance(0.0, row.duration, None, (), is_speech=False)
    else:
        utterance = recognizer.read_whole(row.path, row.start, row.end)
    utterance = replace(utterance, text=row.text, speaker=row.speaker)
    source, tokens = ("given" if row.text else "none"), None
    if transcribe and not row.text:
        text, tokens = recognizer.listen(utterance)
        utterance, source = replace(utterance, text=text), "asr" if text else "none"
    if utterance.is_empty:
        raise AvtError("nothing to judge: no audible sound, no face and no text.")
    return dialogue.read(utterance, source, tokens)
