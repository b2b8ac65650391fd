"""Measuring a checkpoint on anybody's labelled clips, given as a CSV manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from avt_memocmt.data.manifest import ManifestRow
from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.errors import AvtError
from avt_memocmt.inference.dialogue import DialogueReader
from avt_memocmt.inference.recognizer import EmotionRecognizer
from avt_memocmt.inference.results import UtterancePrediction
from avt_memocmt.inference.utterances import Utterance
from avt_memocmt.metrics import (
    FAILED,
    bootstrap_intervals,
    confusion,
    recall_per_class,
    scores,
)
from avt_memocmt.models.cross_modal_transformer import MODALITIES


@dataclass
class Evaluation:
    """Truth and prediction of every row, and what went wrong.

    Attributes:
        rows: the manifest, in the order of reading.
        predicted: index into `EMOTIONS`, or `metrics.FAILED`, per row.
        present: the modalities each row had, joined by "+"; "" where it failed.
        failures: (line in the manifest, path, reason) of each failed row.
    """

    rows: list[ManifestRow] = field(default_factory=list)
    predicted: list[int] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    failures: list[tuple[int, str, str]] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        """The figures, ready for JSON; see `metrics` for their definitions."""
        truth = [row.emotion for row in self.rows]
        groups = [row.dialogue for row in self.rows]
        return {
            "n": len(self.rows),
            **scores(truth, self.predicted),
            "intervals_95": bootstrap_intervals(truth, self.predicted, groups),
            "recall": recall_per_class(truth, self.predicted),
            "confusion": {"labels": list(EMOTIONS), "counts": confusion(truth, self.predicted)},
            "subsets": self._subsets(truth),
            "failed": [
                {"line": line, "path": path, "reason": reason}
                for line, path, reason in self.failures
            ],
        }

    def _subsets(self, truth: Sequence[int]) -> dict[str, Any]:
        found = {}
        for name in sorted(set(self.present) - {""}):
            index = [i for i, present in enumerate(self.present) if present == name]
            picked = [truth[i] for i in index], [self.predicted[i] for i in index]
            found[name] = {"n": len(index), **scores(*picked)}
        return found


def evaluate_manifest(
    recognizer: EmotionRecognizer,
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
    result = Evaluation()
    for rows in dialogues:
        dialogue = recognizer.new_dialogue()
        for row in rows:
            result.rows.append(row)
            try:
                found = _predict_row(recognizer, dialogue, row, transcribe)
            except AvtError as error:
                result.failures.append((row.line, str(row.path or ""), str(error)))
                result.predicted.append(FAILED)
                result.present.append("")
            else:
                result.predicted.append(EMOTIONS.index(found.emotion))
                result.present.append(
                    "+".join(m for m in MODALITIES if found.modalities[m].present)
                )
            progress()
    return result


def _predict_row(
    recognizer: EmotionRecognizer, dialogue: DialogueReader, row: ManifestRow, transcribe: bool
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
