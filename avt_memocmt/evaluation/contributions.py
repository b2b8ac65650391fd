"""How much each modality counts over a whole split, by emotion, in right and in wrong decisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.config import MODALITIES, Config
from avt_memocmt.data.index import UtteranceKey
from avt_memocmt.data.labelled_dialogues import LabelledDialogue
from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.evaluation.evaluation import Evaluation
from avt_memocmt.models.checkpoint import token_dims
from avt_memocmt.models.predict import predict_dialogues
from avt_memocmt.models.prediction import DialogueNetwork

Outcome = Literal["right", "wrong"]
OUTCOMES: tuple[Outcome, ...] = ("right", "wrong")

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Group:
    """The utterances of one emotion that were decided rightly, or wrongly.

    Attributes:
        emotion: their label.
        outcome: whether the decision was that label.
        n: how many.
        weights: per modality the mean of `Contributions.weights` where it is present; without
            modalities that never are.
        changes: the same of `Contributions.changes`.
        overturned: per modality the share of decisions that are another without it.
    """

    emotion: str
    outcome: Outcome
    n: int
    weights: Mapping[str, float]
    changes: Mapping[str, float]
    overturned: Mapping[str, float]


@dataclass(frozen=True)
class Contributions:
    """What every utterance of a split was decided from; NaN where a modality is absent.

    Attributes:
        keys: names of the utterances, in order.
        truth: int64 [n], indices into `EMOTIONS`, or `UNLABELLED`.
        probabilities: [n, 7].
        weights: per modality [n], its share in the decision by the network's own gate; empty from a
            network that does not weigh modalities.
        changes: per modality [n], the probability of the decided emotion less the one that it has
            when the whole dialogue lacks the modality. Above 0: the modality speaks for it.
        without: per modality int64 [n], what is decided when the dialogue lacks it.
    """

    keys: tuple[UtteranceKey, ...]
    truth: NDArray[np.int64]
    probabilities: Numbers
    weights: Mapping[str, Numbers]
    changes: Mapping[str, Numbers]
    without: Mapping[str, NDArray[np.int64]]

    @property
    def decided(self) -> NDArray[np.int64]:
        """int64 [n]: the most probable class."""
        return self.probabilities.argmax(axis=1)

    @property
    def confidence(self) -> Numbers:
        """[n]: its probability."""
        return self.probabilities.max(axis=1)

    def places(self, emotion: int, outcome: Outcome) -> NDArray[np.int64]:
        """Positions of the utterances of an emotion, the most confident decision first."""
        is_right = self.decided == emotion
        found = np.flatnonzero(
            (self.truth == emotion) & (is_right if outcome == "right" else ~is_right)
        )
        return found[np.argsort(-self.confidence[found], kind="stable")]

    def groups(self) -> list[Group]:
        """Every emotion that occurs, first the right decisions, then the wrong ones."""
        found = []
        for emotion, name in enumerate(EMOTIONS):
            for outcome in OUTCOMES:
                places = self.places(emotion, outcome)
                if len(places):
                    found.append(self._group(name, outcome, places))
        return found

    def _group(self, emotion: str, outcome: Outcome, places: NDArray[np.int64]) -> Group:
        having = {m: places[np.isfinite(change[places])] for m, change in self.changes.items()}
        having = {m: rows for m, rows in having.items() if len(rows)}
        overturned = {
            m: float(np.mean(self.without[m][rows] != self.decided[rows]))
            for m, rows in having.items()
        }
        weights, changes = (
            {m: float(values[m][rows].mean()) for m, rows in having.items() if m in values}
            for values in (self.weights, self.changes)
        )
        return Group(emotion, outcome, len(places), weights, changes, overturned)


def measure_contributions(
    model: DialogueNetwork,
    config: Config,
    dialogues: Sequence[LabelledDialogue],
    progress: Callable[[], None] = lambda: None,
) -> Contributions:
    """Decide on a split with everything, and once without each modality.

    A modality is left out of the whole dialogue, so that it does not speak through the past turns
    either. Where it is all that an utterance has, what is left is the dialogue and the shares of
    the classes.

    Args:
        model: in evaluation mode.
        config: of the model.
        dialogues: with what the model hears.
        progress: called after each of the passes, one more than the model hears modalities.

    Raises:
        AvtError: no utterance has a label.
    """
    dims = token_dims(config)
    whole = predict_dialogues(model, dialogues, dims)
    progress()
    probabilities = whole.logits.double().softmax(dim=1).numpy()
    Evaluation.of(dialogues, probabilities)
    turns = [turn for dialogue in dialogues for turn in dialogue.turns]
    rows, decided = np.arange(len(turns)), probabilities.argmax(axis=1)
    weights, changes, without = {}, {}, {}
    for modality in model.modalities:
        absent = np.array([modality not in turn.tokens for turn in turns])
        others = set(model.modalities) - {modality}
        lacking = predict_dialogues(model, [d.only(others) for d in dialogues], dims)
        progress()
        left = lacking.logits.double().softmax(dim=1).numpy()
        change = probabilities[rows, decided] - left[rows, decided]
        changes[modality] = np.where(absent, np.nan, change)
        without[modality] = left.argmax(axis=1)
        if whole.modality_weights is not None:
            own = whole.modality_weights[:, MODALITIES.index(modality)].double().numpy()
            weights[modality] = np.where(absent, np.nan, own)
    return Contributions(
        tuple(key for dialogue in dialogues for key in dialogue.keys),
        np.concatenate([dialogue.emotions for dialogue in dialogues]),
        probabilities,
        weights,
        changes,
        without,
    )
