"""Conversations: MELD's own dialogues, whose speakers are given voices and faces of others.

Words, order, speakers and labels are real. How often voice and face agree with them is not known of
a dialogue beforehand, so a reliability is drawn for each: in MELD itself, strong networks classify
49 % of the voices, 46 % of the faces and 67 % of the words rightly. A network learns from this how
far it can trust each modality, by what the modalities say of one another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.config import MODALITIES
from avt_memocmt.data.labelled_dialogues import LabelledDialogue
from avt_memocmt.data.speaker_baselines import MODALITIES_OF_A_PERSON, SpeakerBaselines
from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.features.base import Tokens
from avt_memocmt.recipe.settings import ConversationConfig
from avt_memocmt.recipe.sources import (
    FaceTokens,
    RowsByEmotion,
    Speech,
    random_part,
    split_by_emotion,
)

NEUTRAL = EMOTIONS.index("neutral")


class ConversationSampler:
    """Gives the turns of a dialogue voices and faces.

    Args:
        speech: clips of voices.
        faces: pictures.
        settings: how often which modality is present and agrees.
        generator: source of randomness.
    """

    def __init__(
        self,
        speech: Speech,
        faces: FaceTokens,
        settings: ConversationConfig,
        generator: np.random.Generator,
    ) -> None:
        self.speech, self.faces = speech, faces
        self.settings, self.generator = settings, generator
        emotions = np.array([clip.emotion for clip in speech.clips])
        self._voices: dict[str, list[RowsByEmotion]] = {}
        for rows in speech.groups.values():
            corpus = speech.clips[rows[0]].corpus
            self._voices.setdefault(corpus, []).append(split_by_emotion(rows, emotions))
        people = faces.by_emotion
        self._people = [rows for name, rows in people.items() if name and rows]
        self._anyone = people.get("", {})

    @property
    def corpora(self) -> list[str]:
        """Names of the corpora of voices."""
        return sorted(self._voices)

    def conversation(
        self, dialogue: LabelledDialogue, corpus: str, heard: bool = False
    ) -> LabelledDialogue:
        """The dialogue with voices of one corpus and with faces; each turn has some modality.

        Its targets are the labels: what the words say of themselves is not what voices and faces
        agree with.

        Args:
            dialogue: with words.
            corpus: of the voices.
            heard: whether the branch that hears them was trained on it. Such voices agree more
                often, so that the fusion trusts a voice the less the newer it is.
        """
        draw, settings = self.generator, self.settings
        speakers = sorted({turn.speaker or "" for turn in dialogue.turns})
        voices = {name: self._pick(self._voices[corpus]) for name in speakers}
        faces = {name: self._face_of_person() for name in speakers}
        voice, face = settings.agreement
        shares = draw.uniform(0, (settings.heard_agreement if heard else voice, face))
        agree = dict(zip(MODALITIES_OF_A_PERSON, shares, strict=True))
        present = {
            m: draw.random() < share
            for m, share in zip(MODALITIES, settings.in_dialogue, strict=True)
        }
        talking = draw.uniform(0, settings.talking)
        baselines, turns = SpeakerBaselines(), []
        for turn, emotion in zip(dialogue.turns, dialogue.emotions, strict=True):
            speaker, tokens = turn.speaker or "", dict(turn.tokens)
            said = self._shown(int(emotion), agree["audio"], voices[speaker])
            tokens["audio"] = self._voice(voices[speaker][said])
            seen = self._shown(int(emotion), agree["visual"], faces[speaker])
            tokens["visual"] = self.faces.video(faces[speaker], seen, talking, draw)
            kept = [
                m
                for m, lost in zip(MODALITIES, settings.lost, strict=True)
                if m in tokens and present[m] and draw.random() >= lost
            ] or [str(draw.choice(sorted(tokens)))]
            given = {m: tokens[m] for m in kept}
            own = baselines.of(turn.speaker)
            turns.append(replace(turn, tokens=given, baselines=own))
            baselines.add(turn.speaker, given)
        return replace(dialogue, turns=tuple(turns), soft_targets=None)

    def pieces(self, dialogue: LabelledDialogue) -> list[LabelledDialogue]:
        """The dialogue, or each of its turns alone."""
        apart = self.generator.random() < self.settings.apart
        return dialogue.single_turns() if apart else [dialogue]

    def _pick(self, among: Sequence[RowsByEmotion]) -> RowsByEmotion:
        return among[int(self.generator.integers(len(among)))]

    def _face_of_person(self) -> RowsByEmotion:
        """A person of whom there are several pictures, or pictures of anyone."""
        named = self._people and self.generator.random() >= self.settings.anyone
        return self._pick(self._people) if named or not self._anyone else self._anyone

    def _shown(self, emotion: int, agreement: float, there: RowsByEmotion) -> int:
        """The emotion of a turn, or another that this person has pictures or clips of."""
        draw = self.generator
        if emotion in there and draw.random() < agreement:
            return emotion
        if NEUTRAL in there and draw.random() < self.settings.flat:
            return NEUTRAL
        return int(draw.choice(sorted(there)))

    def _voice(self, rows: NDArray[np.int64]) -> Tokens:
        draw = self.generator
        variant = self.speech.variants[int(draw.integers(len(self.speech.variants)))]
        sound = random_part(variant[int(draw.choice(rows))].turns[0].tokens["audio"], draw)
        most = self.settings.voice_tokens
        return Tokens(sound.values[:most], sound.spans[:most])
