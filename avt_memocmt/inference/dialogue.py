"""Reads a dialogue turn by turn: encoders, fusion, and the past that the next turn needs."""

from __future__ import annotations

from collections import deque

import torch
from torch import Tensor

from avt_memocmt.config import Config
from avt_memocmt.data.dialogue_batch import (
    TurnFeatures,
    collate,
    speaker_changes,
)
from avt_memocmt.features.base import Tokens
from avt_memocmt.features.extract_text_features import ContextTurn
from avt_memocmt.inference.results import ModalityUse, UtterancePrediction
from avt_memocmt.inference.utterance_tokens import Encoders, encode_utterance
from avt_memocmt.inference.utterances import Utterance
from avt_memocmt.models.avt_memocmt import AvtMemoCmt, Fused
from avt_memocmt.models.cross_modal_transformer import MODALITIES


class DialogueReader:
    """Predicts the turns of one dialogue in order, each from itself and its past.

    The past is bounded: the last turns that the Temporal Transformer can reach, and the last lines
    that the text encoder reads as context.
    """

    def __init__(self, model: AvtMemoCmt, encoders: Encoders, config: Config) -> None:
        """Start an empty dialogue."""
        self._model = model
        self._encoders = encoders
        self._config = config
        self._dims = {
            m: getattr(encoders, m).dim * getattr(encoders, m).layers for m in model.modalities
        }
        self._vectors: deque[Tensor] = deque(maxlen=model.temporal.reach)
        self._changes: deque[int] = deque(maxlen=model.temporal.reach)
        self._lines: deque[tuple[str, str | None]] = deque(maxlen=max(1, config.text.context_turns))
        self._speaker: str | None = None

    @torch.no_grad()
    def read(
        self, utterance: Utterance, text_source: str, known_audio: Tokens | None = None
    ) -> UtterancePrediction:
        """Predict the next turn.

        Args:
            utterance: with at least one modality.
            text_source: "given", "asr" or "none".
            known_audio: tokens of its whole sound, where they were computed already.
        """
        context = self._context(utterance.speaker)
        tokens, warnings = encode_utterance(
            self._encoders, self._config, utterance, context, known_audio
        )
        features = TurnFeatures(tokens, self._speaker_change(utterance.speaker))
        batch = collate([[features]], self._dims)
        fused = self._model.fuse({m: x.flatten_turns() for m, x in batch.modalities.items()})
        self._vectors.append(fused.utterances[0])
        self._changes.append(features.speaker_change)
        logits = self._model.classify(
            torch.stack(list(self._vectors))[None],
            torch.ones(1, len(self._vectors), dtype=torch.bool),
            torch.tensor([list(self._changes)]),
        )
        if utterance.text:
            self._lines.append((utterance.text, utterance.speaker))
        self._speaker = utterance.speaker
        return UtterancePrediction(
            start=utterance.start,
            end=utterance.end,
            speaker=utterance.speaker,
            text=utterance.text,
            text_source=text_source,
            probabilities=_probabilities(self._model.temperature(logits[:, -1], fused.weights)[0]),
            modalities=_modality_use(tokens, fused),
            warnings=warnings,
        )

    def _context(self, speaker: str | None) -> tuple[ContextTurn, ...]:
        return tuple(ContextTurn.said_by(by, text, speaker) for text, by in self._lines)

    def _speaker_change(self, speaker: str | None) -> int:
        return speaker_changes([self._speaker, speaker])[1]


def _modality_use(tokens: dict[str, Tokens], fused: Fused) -> dict[str, ModalityUse]:
    return {
        name: ModalityUse(
            name in tokens,
            float(fused.weights[0, position]),
            _probabilities(fused.opinions[name][0]) if name in tokens else None,
        )
        for position, name in enumerate(MODALITIES)
    }


def _probabilities(logits: Tensor) -> tuple[float, ...]:
    return tuple(logits.softmax(dim=0).tolist())
