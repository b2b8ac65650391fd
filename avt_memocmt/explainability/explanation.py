"""Why the network decided as it did: attention, attributions and checks, per utterance."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Unpack

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.errors import AvtError
from avt_memocmt.explainability.attention_visualization import (
    DecisionAttention,
    decide_with_attention,
)
from avt_memocmt.explainability.evidence import (
    Evidence,
    FaceEvidence,
    WordEvidence,
    gather_evidence,
)
from avt_memocmt.explainability.faithfulness import Curves, curves, randomised_similarity, stability
from avt_memocmt.explainability.forward_function import ForwardFunction, leave_one_out
from avt_memocmt.explainability.gradcam import grad_cam
from avt_memocmt.explainability.integrated_gradients import Attribution, integrated_gradients
from avt_memocmt.inference.dialogue import DialogueReader, PreparedTurn
from avt_memocmt.inference.engine import with_gradients
from avt_memocmt.inference.recognizer import Recognizer
from avt_memocmt.inference.results import MediaPrediction, UtterancePrediction
from avt_memocmt.inference.transcript_alignment import word_spans
from avt_memocmt.inference.utterance_stream import Progress

if TYPE_CHECKING:
    from avt_memocmt.inference.arguments import GivenWords, PredictOptions
    from avt_memocmt.media.source import Media


@dataclass(frozen=True)
class ExplainSettings:
    """What is explained, and how.

    Attributes:
        utterances: indices from 0 of those that are explained; None = all.
        emotion: index of the class that is explained; None = the likeliest of each utterance.
        plus_plus: Grad-CAM++ instead of Grad-CAM.
        check: check the explanations too, which takes many times as long.
    """

    utterances: Collection[int] | None = None
    emotion: int | None = None
    plus_plus: bool = False
    check: bool = False


@dataclass(frozen=True)
class Checks:
    """Results of the checks of `faithfulness` for one attribution.

    Attributes:
        curves: deletion and insertion against random orders.
        randomised: see `randomised_similarity`; low is good.
        stability: see `stability`; high is good.
    """

    curves: Curves
    randomised: dict[str, float]
    stability: float


@dataclass(frozen=True)
class UtteranceExplanation:
    """Why one utterance was judged as it was.

    Attributes:
        index: of the utterance in the prediction, from 0.
        turn: what was decided on, with its faces, samples and words.
        prediction: the decision.
        emotion: the class that is explained.
        words: those that were read, without what lies beyond the encoder's limit.
        aligned: seconds [words, 2] in the utterance at which the words are said, by forced
            alignment; None where nothing times them: the model then took them as spread evenly.
        attention: of the pass that made the decision.
        leave_one_out: what the logit loses without each modality that is present.
        attributions: of each modality that is present.
        checks: of each attribution; empty where none were asked for.
    """

    index: int
    turn: PreparedTurn
    prediction: UtterancePrediction
    emotion: str
    words: tuple[str, ...]
    aligned: NDArray[np.float32] | None
    attention: DecisionAttention
    leave_one_out: dict[str, float]
    attributions: dict[str, Attribution]
    checks: dict[str, Checks] = field(default_factory=dict)

    @property
    def probability(self) -> float:
        """Probability of the emotion that is explained."""
        return self.prediction.probabilities[EMOTIONS.index(self.emotion)]


@dataclass(frozen=True)
class MediaExplanation:
    """The emotion timeline of one input, and explanations of the utterances that were asked for."""

    prediction: MediaPrediction
    utterances: tuple[UtteranceExplanation, ...]


class ExplainingReader(DialogueReader):
    """A `DialogueReader` that explains the turns it decides on; its decisions are the same.

    Args:
        recognizer: whose model and encoders are explained.
        settings: which turns, and how.

    Attributes:
        explanations: so far, in order.
    """

    def __init__(self, recognizer: Recognizer, settings: ExplainSettings) -> None:
        super().__init__(recognizer.engine, recognizer.config)
        self._model = with_gradients(recognizer.engine).model
        self._recognizer = recognizer
        self._settings = settings
        self._index = 0
        self.explanations: list[UtteranceExplanation] = []

    def decide(self, turn: PreparedTurn) -> UtterancePrediction:
        """See `DialogueReader.decide`."""
        index, wanted = self._index, self._settings.utterances
        self._index += 1
        if wanted is not None and index not in wanted:
            return super().decide(turn)
        found = self._explain(index, turn)
        self.explanations.append(found)
        return found.prediction

    def _explain(self, index: int, turn: PreparedTurn) -> UtteranceExplanation:
        made_by, settings = self._recognizer, self._settings
        evidence = gather_evidence(made_by.engine.encoders, made_by.config, turn)
        words = evidence.get("text")
        words = words if isinstance(words, WordEvidence) else None
        # Other people's faces are judged in passes of their own, which are not explained.
        alone = replace(turn, utterance=replace(turn.utterance, people=()))
        prediction, attention = decide_with_attention(super().decide, self._model, alone, words)
        prediction = replace(prediction, faces=self._faces(turn))
        explained = EMOTIONS.index(prediction.likeliest)
        if settings.emotion is not None:
            explained = settings.emotion
        function = ForwardFunction(self._model, turn)

        def attribute(function: ForwardFunction, item: Evidence) -> Attribution:
            if isinstance(item, FaceEvidence):
                return grad_cam(function, item, explained, plus_plus=settings.plus_plus)
            return integrated_gradients(function, item, explained)

        attributions = {m: attribute(function, item) for m, item in evidence.items()}
        checks = {}
        if settings.check:
            for m, item in evidence.items():
                checks[m] = Checks(
                    curves(function, item, attributions[m].scores, explained),
                    randomised_similarity(function, item, lambda f, e: attribute(f, e).scores),
                    stability(function, item, lambda f, e: attribute(f, e).scores),
                )
        return UtteranceExplanation(
            index,
            turn,
            prediction,
            EMOTIONS[explained],
            tuple(words.words) if words else (),
            _aligned(made_by, turn, words) if words else None,
            attention,
            leave_one_out(function, explained),
            attributions,
            checks,
        )


def _aligned(
    recognizer: Recognizer, turn: PreparedTurn, words: WordEvidence
) -> NDArray[np.float32] | None:
    """See `UtteranceExplanation.aligned`; aligns even where the model reads no word times."""
    try:
        spans, _ = word_spans(recognizer.aligner, turn.utterance)
    except AvtError:  # the aligner's package is not installed
        return None
    count = len(words.words)
    return spans[:count] if spans is not None and len(spans) >= count else None


class ExplainingRecognizer(Recognizer):
    """A `Recognizer` that explains while it predicts.

    Args:
        recognizer: whose model, settings and encoders are shared.
        settings: which utterances, and how.
    """

    def __init__(self, recognizer: Recognizer, settings: ExplainSettings) -> None:
        super().__init__(recognizer.engine, recognizer.config)
        self._settings = settings
        self.reader = ExplainingReader(self, settings)

    def new_dialogue(self) -> ExplainingReader:
        """Start an empty dialogue and forget the explanations of the one before."""
        self.reader = ExplainingReader(self, self._settings)
        return self.reader


def explain_media(
    recognizer: Recognizer,
    media: Media,
    transcript: GivenWords | None,
    settings: ExplainSettings,
    progress: Progress = lambda seconds, total: None,
    **options: Unpack[PredictOptions],
) -> MediaExplanation:
    """Predict one file and explain the utterances that are asked for; see `Recognizer`.

    Raises:
        AvtError: as in `Recognizer.predict`.
    """
    explaining = ExplainingRecognizer(recognizer, settings)
    prediction = explaining.predict(media, transcript, progress=progress, **options)
    return MediaExplanation(prediction, tuple(explaining.reader.explanations))
