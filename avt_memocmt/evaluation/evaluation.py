"""The answers of a checkpoint on labelled utterances, and the figures computed from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.config import MODALITIES
from avt_memocmt.data.index import UNLABELLED, UtteranceKey
from avt_memocmt.data.labelled_dialogues import LabelledDialogue, sentiments_of
from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.errors import AvtError
from avt_memocmt.evaluation.answers import SentimentAnswers, likeliest, with_blank_rows
from avt_memocmt.evaluation.by_column import figures_by_value
from avt_memocmt.metrics.calibration import calibration_error
from avt_memocmt.metrics.intervals import Difference, bootstrap_intervals, paired_differences
from avt_memocmt.metrics.roc_auc import macro_roc_auc
from avt_memocmt.metrics.scores import FAILED, outcome_counts, per_class, scores


@dataclass(frozen=True)
class FailedRow:
    """An utterance that could not be predicted, which counts as an error.

    Attributes:
        row: line in the manifest, the header being line 1; or the utterance's key in a corpus.
        path: its media file, "" for none.
        reason: one sentence.
    """

    row: int | str
    path: str
    reason: str

    @property
    def name(self) -> str:
        """ "line 7" or "dev dia3_utt4"."""
        return f"line {self.row}" if isinstance(self.row, int) else self.row

    def to_json(self) -> dict[str, Any]:
        """A manifest's row has a "line", a corpus's an "utterance"."""
        kind = "line" if isinstance(self.row, int) else "utterance"
        return {kind: self.row, "path": self.path, "reason": self.reason}


@dataclass(frozen=True)
class Evaluation:
    """Truth and answer of every labelled utterance, in the order of reading.

    Attributes:
        keys: names of the utterances.
        truth: int64 [n], indices into `labels`.
        probabilities: float [n, classes]; NaN where the utterance could not be predicted.
        groups: the dialogue of each utterance.
        present: its modalities, joined by "+"; "" where it could not be predicted.
        unlabelled: number of utterances without a label, which served as context alone.
        failures: the utterances that could not be predicted.
        alone: per modality float [n, classes], the probabilities from that modality alone; NaN
            where it is absent. Empty for networks without such heads.
        columns: by name of a manifest's column the value of each utterance, "" for none.
        sentiment: where the network has that head, its answers and their truth.
        labels: names of the classes.
    """

    keys: tuple[str, ...]
    truth: NDArray[np.int64]
    probabilities: NDArray[np.floating]
    groups: tuple[str, ...]
    present: tuple[str, ...]
    unlabelled: int = 0
    failures: tuple[FailedRow, ...] = ()
    alone: Mapping[str, NDArray[np.floating]] = field(default_factory=dict)
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sentiment: SentimentAnswers | None = None
    labels: tuple[str, ...] = EMOTIONS

    @classmethod
    def of(
        cls,
        dialogues: Sequence[LabelledDialogue],
        probabilities: NDArray[np.floating],
        sentiments: NDArray[np.floating] | None = None,
    ) -> Evaluation:
        """Keep the answers on the turns that have a label.

        Args:
            dialogues: from `load_dialogues`, at least one.
            probabilities: [turns, classes], of all their turns in order.
            sentiments: [turns, 3], the same of the sentiment; None from a network without it.

        Raises:
            AvtError: no turn has a label.
        """
        keys = [key for dialogue in dialogues for key in dialogue.keys]
        emotions = np.concatenate([dialogue.emotions for dialogue in dialogues])
        kept = np.flatnonzero(emotions != UNLABELLED)
        if not len(kept):
            raise AvtError(
                f"none of the {len(emotions)} utterances of the split {keys[0].split} has a "
                "label, and figures need labels; predict needs none."
            )
        turns = [turn for dialogue in dialogues for turn in dialogue.turns]
        return cls(
            tuple(str(keys[i]) for i in kept),
            emotions[kept],
            probabilities[kept],
            tuple(dialogue_name(keys[i]) for i in kept),
            tuple("+".join(m for m in MODALITIES if m in turns[i].tokens) for i in kept),
            unlabelled=len(emotions) - len(kept),
            sentiment=None
            if sentiments is None
            else SentimentAnswers(sentiments_of(dialogues)[kept], sentiments[kept]),
            labels=dialogues[0].labels,
        )

    @property
    def predicted(self) -> NDArray[np.int64]:
        """int64 [n]: the most probable class, or `metrics.FAILED`."""
        return likeliest(self.probabilities)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Counts int64 of (truth, prediction); see `metrics.outcome_counts`."""
        return outcome_counts(self.truth, self.predicted, len(self.labels))

    @property
    def ece(self) -> float | None:
        """Calibration error of what was predicted; None where nothing was.

        An utterance that could not be predicted is left out: it stated no confidence, and one of 0
        would count as perfectly calibrated.
        """
        answered = self.predicted != FAILED
        if not answered.any():
            return None
        return calibration_error(self.truth[answered], self.probabilities[answered])

    @property
    def confidence(self) -> dict[str, float | None]:
        """The mean probability of the named class, and how far it lies above their accuracy.

        Of what was predicted, as for `ece`; None where nothing was.
        """
        answered = self.predicted != FAILED
        if not answered.any():
            return {"mean_confidence": None, "confidence_minus_accuracy": None}
        mean = float(self.probabilities[answered].max(axis=1).mean())
        right = float(np.mean(self.predicted[answered] == self.truth[answered]))
        return {"mean_confidence": mean, "confidence_minus_accuracy": mean - right}

    def figures(self) -> dict[str, Any]:
        """Scores, calibration, 95 % intervals, recall and F1 per class; see `metrics`."""
        truth, predicted = self.truth, self.predicted
        return {
            "n": len(truth),
            **scores(truth, predicted),
            "roc_auc": macro_roc_auc(truth, self.probabilities),
            "ece": self.ece,
            **self.confidence,
            "intervals_95": bootstrap_intervals(truth, predicted, self.groups),
            **per_class(truth, predicted, self.labels),
            **({} if self.sentiment is None else {"sentiment": self.sentiment.figures()}),
        }

    def report(self) -> dict[str, Any]:
        """The figures and what is behind them, ready for JSON."""
        counts = self.counts[:, : len(self.labels)].tolist()
        return {
            **self.figures(),
            "confusion": {"labels": list(self.labels), "counts": counts},
            "subsets": self._subsets(),
            "alone": self._alone(),
            "by": {
                name: figures_by_value(values, self.truth, self.predicted)
                for name, values in self.columns.items()
            },
            "unlabelled": self.unlabelled,
            "failed": [failure.to_json() for failure in self.failures],
        }

    def with_failed(self, rows: Sequence[tuple[FailedRow, int, str, int]]) -> Evaluation:
        """Append utterances that could not be read, which count as errors.

        Args:
            rows: what failed, its true class, its dialogue, its true sentiment or `UNLABELLED`.
        """
        if not rows:
            return self
        failures, truth, groups, sentiments = zip(*rows, strict=True)
        return replace(
            self,
            keys=(*self.keys, *(failure.name for failure in failures)),
            truth=np.concatenate([self.truth, np.array(truth, np.int64)]),
            probabilities=with_blank_rows(self.probabilities, len(rows)),
            groups=(*self.groups, *groups),
            present=(*self.present, *("" for _ in rows)),
            failures=(*self.failures, *failures),
            alone={name: with_blank_rows(part, len(rows)) for name, part in self.alone.items()},
            columns={name: (*found, *("" for _ in rows)) for name, found in self.columns.items()},
            sentiment=None if self.sentiment is None else self.sentiment.with_failed(sentiments),
        )

    def differences(self, other: Evaluation) -> dict[str, Difference]:
        """Each score of this checkpoint minus that of another one on the same utterances.

        Raises:
            AvtError: they were measured on different utterances or labels.
        """
        return paired_differences(self.truth, self.predicted, self.predicted_by(other), self.groups)

    def agreement(self, other: Evaluation) -> float:
        """Share of the utterances for which both checkpoints name the same emotion.

        Raises:
            AvtError: as in `differences`.
        """
        same = self.predicted == self.predicted_by(other)
        return float(np.mean(same & (self.predicted != FAILED)))

    def predicted_by(self, other: Evaluation) -> NDArray[np.int64]:
        """What another checkpoint predicted for these utterances, int64 [n], in their order.

        Raises:
            AvtError: as in `differences`.
        """
        if other.labels != self.labels:
            raise AvtError(
                f"one checkpoint tells {', '.join(self.labels)} apart, the other "
                f"{', '.join(other.labels)}; compare checkpoints with the same labels."
            )
        places = {key: place for place, key in enumerate(other.keys)}
        lone = set(self.keys).symmetric_difference(places)
        if lone:
            raise AvtError(
                f"only one of the two checkpoints was measured on {min(lone)}; give both the same "
                "corpus and split."
            )
        order = np.array([places[key] for key in self.keys])
        unlike = np.flatnonzero(other.truth[order] != self.truth)
        if len(unlike):
            raise AvtError(
                f"{self.keys[unlike[0]]} has different labels in the two measurements; give both "
                "the same corpus."
            )
        return other.predicted[order]

    def _subsets(self) -> dict[str, Any]:
        """The figures of the utterances with the same modalities."""
        present = np.array(self.present)
        return {
            name: _scores_and_ece(self.truth[present == name], self.probabilities[present == name])
            for name in sorted(set(self.present) - {""})
        }

    def _alone(self) -> dict[str, Any]:
        """The figures of each modality alone where there are others, and the gain by fusion."""
        found = {}
        several = np.array(["+" in name for name in self.present])
        for name, probabilities in self.alone.items():
            rows = np.flatnonzero(several & np.isfinite(probabilities).all(axis=1))
            if not len(rows):
                continue
            truth, own = self.truth[rows], probabilities[rows]
            groups = [self.groups[row] for row in rows]
            gains = paired_differences(truth, self.predicted[rows], own.argmax(axis=1), groups)
            found[name] = {
                **_scores_and_ece(truth, own),
                "fused_minus_alone": {score: asdict(gain) for score, gain in gains.items()},
            }
        return found


def dialogue_name(key: UtteranceKey) -> str:
    """Name of the dialogue that an utterance belongs to: "dev dia3"."""
    return f"{key.split} dia{key.dialogue_id}"


def _scores_and_ece(
    truth: NDArray[np.int64], probabilities: NDArray[np.floating]
) -> dict[str, float]:
    return {
        "n": len(truth),
        **scores(truth, probabilities.argmax(axis=1)),
        "ece": calibration_error(truth, probabilities),
    }
