"""Measures a checkpoint on the labelled clips of a CSV manifest."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from avt_memocmt.config import MODALITIES
from avt_memocmt.data.baseline_scope import BaselineScope, require_speakers
from avt_memocmt.data.manifest import ManifestRow, nominal_seconds
from avt_memocmt.data.set_baselines import Described, of_others
from avt_memocmt.data.speaker_baselines import Baseline, utterance_statistics
from avt_memocmt.emotions import NUM_EMOTIONS, SENTIMENTS
from avt_memocmt.errors import AvtError
from avt_memocmt.evaluation.answers import SentimentAnswers
from avt_memocmt.evaluation.evaluation import Evaluation, FailedRow
from avt_memocmt.inference.clips import ClipReader
from avt_memocmt.inference.dialogue import DialogueReader, PreparedTurn
from avt_memocmt.inference.recognizer import Recognizer
from avt_memocmt.inference.results import ModalityUse, UtterancePrediction
from avt_memocmt.inference.turn_policy import Listen, find_words
from avt_memocmt.inference.utterances import Utterance
from avt_memocmt.wording import WARNINGS

_log = logging.getLogger(__name__)
_OF_FILES = {"truncated", "rest_unread", "clock_jump", "other_track", "span_cut"}
"""Warnings that speak of the file of a row; they count in no figure, so they are logged."""

_UNKNOWN = (float("nan"),) * NUM_EMOTIONS
_NO_ANSWER = UtterancePrediction(
    *(0.0, 0.0, None, "", "none", _UNKNOWN, {m: ModalityUse(False, 0.0) for m in MODALITIES})
)
_Answer = UtterancePrediction | AvtError
_ChooseBaselines = Callable[[ManifestRow, PreparedTurn], dict[str, Baseline]]
"""Says which baselines a row, encoded with its past, is judged against."""


def evaluate_manifest(
    recognizer: Recognizer,
    dialogues: Sequence[Sequence[ManifestRow]],
    *,
    transcribe: bool = False,
    speaker_baseline: BaselineScope = "past",
    by: Sequence[str] = (),
    progress: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Predict every row, each dialogue from its first turn to its last with the past alone.

    A row that cannot be predicted counts as an error and is listed; the rest goes on.

    Args:
        dialogues: from `read_manifest`.
        transcribe: let the packaged recogniser listen where a row has no text.
        speaker_baseline: which rows of its speaker a row is judged against; rows outside its
            dialogue are read twice.
        by: columns whose values the figures are compared between.
        progress: called after every row, at each reading.

    Raises:
        AvtError: as of `require_measurable`.
    """
    require_measurable(dialogues, speaker_baseline, by)
    choose = _chooser(recognizer, dialogues, transcribe, speaker_baseline, progress)
    found = list(_answers(recognizer, dialogues, transcribe, choose, progress))
    rows = [row for row, _ in found]
    answers = [_NO_ANSWER if isinstance(answer, AvtError) else answer for _, answer in found]
    return Evaluation(
        tuple(f"line {row.line}" for row in rows),
        np.array([row.emotion for row in rows], np.int64),
        np.array([answer.probabilities for answer in answers]),
        tuple(row.dialogue for row in rows),
        tuple("+".join(m for m in MODALITIES if a.modalities[m].present) for a in answers),
        failures=tuple(
            FailedRow(row.line, str(row.path or ""), str(answer))
            for row, answer in found
            if isinstance(answer, AvtError)
        ),
        alone={
            m: np.array([answer.modalities[m].probabilities or _UNKNOWN for answer in answers])
            for m in MODALITIES
        },
        columns={name: tuple(row.cells[name] for row in rows) for name in by},
        sentiment=_sentiments(rows, answers),
    )


def _sentiments(
    rows: Sequence[ManifestRow], answers: Sequence[UtterancePrediction]
) -> SentimentAnswers | None:
    """What a network with that head said; None from others."""
    if all(answer.sentiment_probabilities is None for answer in answers):
        return None
    unknown = (np.nan,) * len(SENTIMENTS)
    return SentimentAnswers(
        np.array([row.sentiment for row in rows], np.int64),
        np.array([answer.sentiment_probabilities or unknown for answer in answers]),
    )


def require_measurable(
    dialogues: Sequence[Sequence[ManifestRow]], scope: BaselineScope, by: Sequence[str]
) -> None:
    """Check that a manifest has what is asked for, before any long work.

    Raises:
        AvtError: it lacks a column of `by`, or names no speaker where the scope needs one.
    """
    require_speakers(scope, (row.speaker for turns in dialogues for row in turns))
    there = dialogues[0][0].cells
    for name in by:
        if name not in there:
            raise AvtError(
                f"the manifest has no column {name!r}; its columns are {', '.join(there)}."
            )


def readings(scope: BaselineScope) -> int:
    """How often `evaluate_manifest` reads every row."""
    return 1 if scope in ("off", "past") else 2


def _chooser(
    recognizer: Recognizer,
    dialogues: Sequence[Sequence[ManifestRow]],
    transcribe: bool,
    scope: BaselineScope,
    progress: Callable[[], None],
) -> _ChooseBaselines:
    """Prepare the baselines of a scope.

    Those from outside the dialogue need every row before the first decision. The rows are encoded
    twice for them: the tokens of an hour of speech take 1.4 GB, their statistics 15 kB a row.
    """
    if scope == "past":
        return lambda row, turn: turn.baselines
    if scope == "off":
        return lambda row, turn: {}
    described: dict[int, Described] = {}

    def describe(row: ManifestRow, turn: PreparedTurn) -> dict[str, Baseline]:
        described[row.line] = (row.speaker, utterance_statistics(turn.tokens))
        return {}

    for _ in _answers(recognizer, dialogues, transcribe, describe, progress):
        pass
    found = dict(zip(described, of_others(list(described.values()), scope), strict=True))
    return lambda row, turn: found[row.line]


def _answers(
    recognizer: Recognizer,
    dialogues: Sequence[Sequence[ManifestRow]],
    transcribe: bool,
    choose: _ChooseBaselines,
    progress: Callable[[], None],
) -> Iterator[tuple[ManifestRow, _Answer]]:
    """Every row with its prediction, or with the reason why there is none."""
    listen = recognizer.listen if transcribe else None
    with recognizer.new_clip_reader() as clips:
        for turns in dialogues:
            dialogue = recognizer.new_dialogue()
            for row in turns:
                try:
                    turn = _prepare(dialogue, _read(clips, row), listen)
                    yield row, dialogue.decide(replace(turn, baselines=choose(row, turn)))
                except AvtError as error:
                    yield row, error
                progress()


def _read(clips: ClipReader, row: ManifestRow) -> Utterance:
    if row.path is None:
        utterance = Utterance(0.0, nominal_seconds(row.text), None, (), is_speech=False)
    else:
        utterance = clips.read(row.path, row.start, row.end)
        for name in _OF_FILES.intersection(utterance.warnings):
            _log.warning("line %d: %s: %s: %s", row.line, row.path, name, WARNINGS[name])
    utterance = replace(utterance, text=row.text, speaker=row.speaker)
    if utterance.is_empty:
        raise AvtError("nothing to judge: no audible sound, no face and no text.")
    return utterance


def _prepare(dialogue: DialogueReader, utterance: Utterance, listen: Listen | None) -> PreparedTurn:
    turn = dialogue.prepare(*find_words(utterance, listen))
    if not turn.tokens:
        raise AvtError("nothing to judge: the text is in no language that the encoder knows.")
    return turn
