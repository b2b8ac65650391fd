"""Synthetic pairs: a voice, a face and a line of different people put into one utterance.

No corpus at hand has the sound and the face of one moment together. A pair is of one emotion, or
mismatched with a soft target between those of its parts. It trains the attentions between
modalities; it is not a conversation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from avt_memocmt.config import MODALITIES
from avt_memocmt.data.dialogue_batch import TurnFeatures
from avt_memocmt.data.labelled_dialogues import LabelledDialogue
from avt_memocmt.emotions import EMOTIONS, NUM_EMOTIONS
from avt_memocmt.features.base import Tokens
from avt_memocmt.recipe.settings import Evidence, PairsConfig
from avt_memocmt.recipe.sources import Sources
from avt_memocmt.recipe.stored_tokens import with_tokens

TWO_MODALITIES = (("audio", "visual"), ("audio", "text"), ("visual", "text"))
"""Each is drawn with chance 0.2; all three modalities together with chance 0.4."""


class PairSampler:
    """Draws a face and a line to go with a clip of speech.

    Args:
        sources: of voices, faces and lines.
        settings: which pairs are drawn for training.
        generator: source of randomness.
    """

    def __init__(
        self, sources: Sources, settings: PairsConfig, generator: np.random.Generator
    ) -> None:
        self.sources = sources
        self.settings = settings
        self.generator = generator
        labels = np.array([int(face.emotions[0]) for face in sources.faces.variants[0]])
        self._faces = [np.flatnonzero(labels == emotion) for emotion in range(NUM_EMOTIONS)]
        self._lines: list[list[LabelledDialogue]] = [[] for _ in EMOTIONS]
        for line in sources.lines:
            self._lines[int(line.emotions[0])].append(line)

    def training_pair(self, row: int) -> LabelledDialogue:
        """A pair for training: two or three modalities, sometimes mismatched, all augmented."""
        draw, settings = self.generator, self.settings
        choice = draw.random()
        present = TWO_MODALITIES[int(choice / 0.2)] if choice < 0.6 else MODALITIES
        emotion = self.sources.speech.clips[row].emotion
        face, line = emotion, emotion
        evidence = settings.evidence
        kind, other = draw.random(), int(draw.integers(NUM_EMOTIONS))
        if kind < settings.mismatched:
            # Neutral words under an emotional voice are what most mismatches in films look like.
            face, line = (other, emotion) if draw.random() < 0.5 else (emotion, 0)
        elif kind < settings.mismatched + settings.misheard:
            face, line, evidence = other, other, settings.misheard_evidence
        variant = int(draw.integers(len(self.sources.faces.variants)))
        frames = int(draw.integers(1, 7))
        voice = self.sources.speech.draw(row, draw)
        return self._pair(
            (voice, self._video(face, variant, frames), self._line(line)), present, evidence
        )

    def matched(self, row: int) -> LabelledDialogue:
        """Voice, face and line of the same emotion: what held-back pairs are measured on."""
        emotion = self.sources.speech.clips[row].emotion
        voice = self.sources.speech.variants[0][row]
        parts = (voice, self._video(emotion, 0, 4), self._line(emotion))
        return self._pair(parts, MODALITIES, self.settings.evidence)

    def _video(self, emotion: int, variant: int, frames: int) -> LabelledDialogue:
        """A random picture of this emotion as consecutive frames, four a second."""
        row = int(self.generator.choice(self._faces[emotion]))
        face = self.sources.faces.variants[variant][row]
        values = np.repeat(face.turns[0].tokens["visual"].values, frames, axis=0)
        times = 0.25 * np.arange(frames + 1, dtype=np.float32)
        tokens = Tokens(values, np.stack([times[:-1], times[1:]], axis=1))
        return with_tokens(face, "visual", tokens)

    def _line(self, emotion: int) -> LabelledDialogue:
        lines = self._lines[emotion]
        return lines[int(self.generator.integers(len(lines)))]

    def _pair(
        self, parts: Sequence[LabelledDialogue], present: Sequence[str], evidence: Evidence
    ) -> LabelledDialogue:
        """One turn with a modality of each of voice, face and line; its label is the voice's."""
        by_modality = dict(zip(MODALITIES, parts, strict=True))
        shares = {name: float(getattr(evidence, name)) for name in present}
        weighed = [share * by_modality[name].targets for name, share in shares.items()]
        target = np.sum(weighed, axis=0) / sum(shares.values())
        tokens = {name: by_modality[name].turns[0].tokens[name] for name in present}
        turns, soft = (TurnFeatures(tokens),), target.astype(np.float32)
        return replace(by_modality["audio"], turns=turns, soft_targets=soft)
