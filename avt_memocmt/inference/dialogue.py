"""Predicts a dialogue turn by turn, and keeps the past that the next turn needs."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avt_memocmt.config import MODALITIES, Config
from avt_memocmt.data.dialogue_batch import (
    SPEAKER_UNKNOWN,
    TurnFeatures,
    collate,
    speaker_changes,
)
from avt_memocmt.data.speaker_baselines import Baseline, SpeakerBaselines
from avt_memocmt.features.base import Tokens
from avt_memocmt.features.text_encoder import ContextTurn, DialogueContext
from avt_memocmt.features.visual_encoder import VisualEncoder
from avt_memocmt.inference.encoding import encode_utterance
from avt_memocmt.inference.engine import Engine
from avt_memocmt.inference.results import FacePrediction, ModalityUse, UtterancePrediction
from avt_memocmt.inference.utterances import Utterance
from avt_memocmt.models.avt_memocmt import Fused
from avt_memocmt.preprocessing.face_tracker import FaceObservation


@dataclass(frozen=True)
class PreparedTurn:
    """An encoded utterance with its past: all that one decision is made from.

    Attributes:
        utterance: the raw material.
        text_source: "given", "asr" or "none".
        context: earlier lines that the text encoder reads.
        tokens: of the modalities that are present.
        baselines: the speaker's own by modality, from earlier turns unless others were chosen.
        speaker_change: one of `dialogue_batch.SPEAKER_*`.
        past: float [turns, dim], vectors of the earlier turns within reach, oldest first.
        past_changes: int64 [turns], `speaker_change` of those turns.
        warnings: of the utterance and its encoding.
    """

    utterance: Utterance
    text_source: str
    context: tuple[ContextTurn, ...]
    tokens: dict[str, Tokens]
    baselines: dict[str, Baseline]
    speaker_change: int
    past: Tensor
    past_changes: Tensor
    warnings: tuple[str, ...]

    def after_past(self, utterance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the dialogue that ends with this turn, as the arguments of `AvtMemoCmt.classify`.

        Args:
            utterance: [batch, dim], vectors of this turn or of variants of it.
        """
        size = len(utterance)
        turns = torch.cat([self.past.expand(size, -1, -1), utterance[:, None]], dim=1)
        changes = torch.cat([self.past_changes, torch.tensor([self.speaker_change])])
        return turns, torch.ones(turns.shape[:2], dtype=torch.bool), changes.expand(size, -1)


class DialogueReader:
    """Predicts the turns of one dialogue in order, each from itself and its past.

    The past is bounded: the last turns that the Temporal Transformer can reach, the last lines that
    the text encoder reads as context, and one mean for each speaker and modality.
    """

    def __init__(self, engine: Engine, config: Config) -> None:
        """Start an empty dialogue.

        Raises:
            AvtError: as of `Engine.require_process`.
        """
        engine.require_process()
        self._engine = engine
        self._config = config
        self._vectors: deque[Tensor] = deque(maxlen=config.model.reach - 1)
        self._changes: deque[int] = deque(maxlen=config.model.reach - 1)
        self._context = DialogueContext(config.text.context_turns)
        self._baselines = SpeakerBaselines()
        self._speaker: str | None = None

    def read(
        self, utterance: Utterance, text_source: str, known_audio: Tokens | None = None
    ) -> UtterancePrediction:
        """Predict the next turn: `prepare`, then `decide`.

        Args:
            utterance: with at least one modality.
            text_source: "given", "asr" or "none".
            known_audio: tokens of the utterance's whole sound, if they were already computed.
        """
        return self.decide(self.prepare(utterance, text_source, known_audio))

    @torch.no_grad()
    def prepare(
        self, utterance: Utterance, text_source: str, known_audio: Tokens | None = None
    ) -> PreparedTurn:
        """Encode the next turn with the dialogue so far as its past; arguments as of `read`."""
        context = self._context.of_turn_by(utterance.speaker)
        tokens, warnings = encode_utterance(
            self._engine.encoders, self._config, utterance, context, known_audio
        )
        vectors = list(self._vectors)
        return PreparedTurn(
            utterance,
            text_source,
            context,
            tokens,
            self._baselines.of(utterance.speaker),
            speaker_changes([self._speaker, utterance.speaker])[1],
            torch.stack(vectors) if vectors else torch.zeros(0, self._config.model.dim),
            torch.tensor(list(self._changes), dtype=torch.long),
            warnings,
        )

    def decide(self, turn: PreparedTurn) -> UtterancePrediction:
        """Decide on a turn that was just prepared, and remember it as the past of the next."""
        prediction, vector = self._decide(turn)
        utterance = turn.utterance
        self._vectors.append(vector)
        self._changes.append(turn.speaker_change)
        self._context.add(utterance.speaker, utterance.text)
        self._baselines.add(utterance.speaker, turn.tokens)
        self._speaker = utterance.speaker
        return prediction

    def revise(self, turn: PreparedTurn, text: str, turns_since: int) -> UtterancePrediction:
        """Decide again on a past turn whose words came late; later turns then read them as context.

        Call it in the order of the turns.

        Args:
            turn: as it was decided on, without words.
            text: what was said.
            turns_since: number of turns decided on after it.
        """
        utterance = replace(turn.utterance, text=text)
        tokens, warnings = encode_utterance(
            self._engine.encoders, self._config, utterance, turn.context, turn.tokens.get("audio")
        )
        revised = replace(
            turn, utterance=utterance, text_source="asr", tokens=tokens, warnings=warnings
        )
        prediction, vector = self._decide(revised)
        place = len(self._vectors) - 1 - turns_since
        if place >= 0:
            self._vectors[place] = vector
        self._context.add(utterance.speaker, text)
        return prediction

    def provisional(self, utterance: Utterance) -> UtterancePrediction:
        """Predict the next turn from what there is of it so far; nothing is remembered."""
        source = "given" if utterance.text else "none"
        return self._decide(self.prepare(utterance, source))[0]

    @torch.no_grad()
    def _decide(self, turn: PreparedTurn) -> tuple[UtterancePrediction, Tensor]:
        """Return the prediction, and the utterance's vector [dim]."""
        features = TurnFeatures(turn.tokens, turn.speaker_change, baselines=turn.baselines)
        batch = collate([[features]], self._engine.encoders.widths)
        fused = self._engine.fuse({m: x.flatten_turns() for m, x in batch.modalities.items()})
        dialogue = turn.after_past(fused.utterances)
        correction = self._engine.classify(*dialogue)[:, -1]
        sentiment = self._engine.classify_sentiment(*dialogue)
        logits = fused.logits(correction) / fused.temperature[:, None]
        utterance = turn.utterance
        prediction = UtterancePrediction(
            start=utterance.start,
            end=utterance.end,
            speaker=utterance.speaker,
            text=utterance.text,
            text_source=turn.text_source,
            probabilities=_probabilities(logits[0]),
            modalities=_modality_use(turn.tokens, fused),
            warnings=turn.warnings,
            face=utterance.face,
            faces=self._faces(turn),
            sentiment_probabilities=None if sentiment is None else _probabilities(sentiment[0, -1]),
        )
        return prediction, fused.utterances[0]

    def _faces(self, turn: PreparedTurn) -> tuple[FacePrediction, ...]:
        """The emotion of everybody who was seen, from the face alone.

        The face that speaks is judged against the past of the voice; of others nothing is known.
        """
        people = [who for who in turn.utterance.people if who.faces]
        visual = self._engine.encoders.visual
        if not people or visual is None:
            return ()
        starts = [turn.utterance.start] * len(people)
        tokens = visual.encode(
            [who.faces for who in people], starts, 1 / self._config.visual.frames_per_second
        )
        turns = [
            TurnFeatures(
                {"visual": seen},
                turn.speaker_change,
                baselines=turn.baselines if who.speaks else {},
            )
            for who, seen in zip(people, tokens, strict=True)
        ]
        return tuple(
            FacePrediction(who.id, who.speaks, who.seconds, _probabilities(logits))
            for who, logits in zip(people, _visual_logits(self._engine, turns), strict=True)
        )


@torch.no_grad()
def judge_faces(
    engine: Engine, visual: VisualEncoder, faces: Sequence[FaceObservation], period: float
) -> NDArray[np.float32]:
    """What each of some faces shows by itself, judged against no past.

    Args:
        engine: computes the networks.
        visual: its encoder of faces.
        faces: in any order.
        period: seconds between two sampled pictures.

    Returns:
        Probabilities float32 [n, 7].
    """
    tokens = visual.encode([[face] for face in faces], [face.time for face in faces], period)
    turns = [TurnFeatures({"visual": seen}, SPEAKER_UNKNOWN) for seen in tokens]
    return _visual_logits(engine, turns).softmax(dim=1).numpy()


def _visual_logits(engine: Engine, turns: Sequence[TurnFeatures]) -> Tensor:
    """The decision [n, 7] on turns that hold a face alone."""
    batch = collate([turns], engine.encoders.widths)
    fused = engine.fuse({m: x.flatten_turns() for m, x in batch.modalities.items()})
    return fused.unimodal_logits["visual"]


def _modality_use(tokens: dict[str, Tokens], fused: Fused) -> dict[str, ModalityUse]:
    return {
        name: ModalityUse(
            name in tokens,
            float(fused.modality_weights[0, position]),
            _probabilities(fused.unimodal_logits[name][0]) if name in tokens else None,
        )
        for position, name in enumerate(MODALITIES)
    }


def _probabilities(logits: Tensor) -> tuple[float, ...]:
    return tuple(logits.softmax(dim=0).tolist())
