"""Synthetic pairs: a voice, a face and a line of different people put into one utterance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.data.dialogue_batch import TurnFeatures
from avt_memocmt.emotions import NUM_EMOTIONS
from avt_memocmt.recipe.examples import (
    Example,
    FacePart,
    SpeechPart,
    TextPart,
    face_tokens,
    one_hot,
    speech_example,
)

MISMATCHED = 0.3
"""Share of training pairs whose face or line shows another emotion than the voice."""
EVIDENCE = {"audio": 0.4, "visual": 0.4, "text": 0.2}
"""How much each modality counts in the soft label of a mismatched pair."""
MISHEARD = 0.2
"""Share of training pairs whose face and line agree on another emotion than the voice."""
MISHEARD_EVIDENCE = {"audio": 0.1, "visual": 0.6, "text": 0.3}
"""The same in these: a voice unlike any that was trained on is judged wrong that often, and the
voices of the pairs are those that its branch was trained on."""
FACE_BALANCE = 0.5
"""Exponent of the inverse class frequency by which faces are drawn: 0 = as is, 1 = balanced."""
COMBINATIONS = (("audio", "visual"), ("audio", "text"), ("visual", "text"))
"""Each is drawn with chance 0.2; all three modalities together with chance 0.4."""


@dataclass(frozen=True)
class Sources:
    """The three corpora of one part, and which rows show which emotion."""

    speech: SpeechPart
    faces: FacePart
    text: TextPart

    def face_rows(self, emotion: int) -> NDArray[np.int64]:
        """Pictures whose majority is this emotion."""
        return np.flatnonzero(self.faces.majority == emotion)

    def face_chances(self) -> NDArray[np.float64]:
        """Chance of drawing each picture: rarer votes are drawn more often (`FACE_BALANCE`)."""
        votes = self.faces.votes.astype(np.float64)
        chances = votes @ (votes.mean(axis=0) ** -FACE_BALANCE)
        return np.asarray(chances / chances.sum())

    def line_rows(self, emotion: int) -> NDArray[np.int64]:
        """MELD lines with this label that have at least one word piece."""
        labels = np.asarray(self.text.emotions)
        lengths = np.diff(self.text.alone.offsets)
        return np.flatnonzero((labels == emotion) & (lengths > 0))


class PairSampler:
    """Draws synthetic pairs around the clips of a speech corpus."""

    def __init__(self, sources: Sources, generator: np.random.Generator, augmented: bool) -> None:
        """Prepare to draw; `augmented` picks random variants of voice and face."""
        self.sources = sources
        self.generator = generator
        self.augmented = augmented
        self.faces = [sources.face_rows(e) for e in range(NUM_EMOTIONS)]
        self.lines = [sources.line_rows(e) for e in range(NUM_EMOTIONS)]

    def training_pair(self, row: int) -> Example:
        """A pair for training: two or three modalities, sometimes mismatched."""
        present: tuple[str, ...] = ("audio", "visual", "text")
        choice = self.generator.random()
        if choice < 0.6:
            present = COMBINATIONS[int(choice / 0.2)]
        emotion = self.sources.speech.clips[row].emotion
        face, line, evidence = emotion, emotion, EVIDENCE
        kind, other = self.generator.random(), int(self.generator.integers(NUM_EMOTIONS))
        if kind < MISMATCHED:
            # Neutral words under an emotional voice are what most mismatches in films look like.
            face, line = (other, emotion) if self.generator.random() < 0.5 else (emotion, 0)
        elif kind < MISMATCHED + MISHEARD:
            face, line, evidence = other, other, MISHEARD_EVIDENCE
        return self._pair(row, face, line, present, evidence)

    def matched(self, row: int) -> Example:
        """Voice, face and line of the same emotion: what held-back pairs are measured on."""
        emotion = self.sources.speech.clips[row].emotion
        return self._pair(row, emotion, emotion, ("audio", "visual", "text"), EVIDENCE)

    def _pair(
        self,
        row: int,
        face: int,
        line: int,
        present: tuple[str, ...],
        evidence: dict[str, float],
    ) -> Example:
        draw = self.generator
        speech, faces, text = self.sources.speech, self.sources.faces, self.sources.text
        face_row = int(draw.choice(self.faces[face]))
        line_row = int(draw.choice(self.lines[line]))
        crop = draw.random() if self.augmented else None
        voice = speech_example(speech, row, self._variant(len(speech.variants)), False, crop)
        frames = int(draw.integers(1, 7)) if self.augmented else 4
        variant = self._variant(len(faces.variants))
        found = {
            "audio": voice.turns[0].tokens["audio"],
            "visual": face_tokens(faces, [face_row] * frames, variant),
            "text": text.alone.tokens(line_row),
        }
        unimodal_logits = {
            "audio": one_hot(speech.clips[row].emotion),
            "visual": faces.votes[face_row],
            "text": one_hot(text.emotions[line_row]),
        }
        total = sum(evidence[name] for name in present)
        label = sum(evidence[name] / total * unimodal_logits[name] for name in present)
        return Example(
            (TurnFeatures({name: found[name] for name in present}),),
            np.asarray(label, dtype=np.float32)[None],
            {name: unimodal_logits[name][None] for name in present},
        )

    def _variant(self, count: int) -> int:
        return int(self.generator.integers(count)) if self.augmented else 0


def without(example: Example, kept: tuple[str, ...]) -> Example:
    """The same turns with only the `kept` modalities."""
    turns = tuple(
        TurnFeatures({m: t for m, t in turn.tokens.items() if m in kept}, turn.speaker_change)
        for turn in example.turns
    )
    return Example(turns, example.labels, {m: example.unimodal_logits[m] for m in kept})
