"""The training data of the recipe: three corpora, encoded once and read from feature stores."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from avt_memocmt.config import TokenShape
from avt_memocmt.data.corpora import Part, SpeechClip, speech_clips
from avt_memocmt.data.feature_store import FeatureRow, FeatureStore
from avt_memocmt.data.index import UtteranceKey
from avt_memocmt.data.labelled_dialogues import (
    LabelledDialogue,
    dialogue_of_rows,
    load_dialogues,
)
from avt_memocmt.data.manifest import nominal_seconds
from avt_memocmt.features.base import Tokens
from avt_memocmt.features.extract_audio_features import make_audio_encoder
from avt_memocmt.features.extract_text_features import make_text_encoder
from avt_memocmt.features.extract_visual_features import FaceCnnEncoder, make_visual_encoder
from avt_memocmt.features.text_encoder import TextInput
from avt_memocmt.models.heads import statistics
from avt_memocmt.preprocessing.audio_preprocess import load_audio
from avt_memocmt.recipe.face import augment, load_faces, row_chances, to_input
from avt_memocmt.recipe.settings import Job
from avt_memocmt.recipe.speech_augmentation import augment_speech
from avt_memocmt.recipe.stored_tokens import memory_mapped, store_tokens, with_tokens
from avt_memocmt.recipe.text import TEXT_HEAD_FILE, meld_rows, soft_targets_of_words

SHORTEST_CROP = 50
"""Tokens, one second."""


@dataclass(frozen=True)
class Speech:
    """Sentences of sound, with their words where these are known.

    Attributes:
        clips: corpus, speaker, words and label of each.
        variants: lists with a dialogue of one turn per clip: first as recorded, then augmented.
    """

    clips: list[SpeechClip]
    variants: list[list[LabelledDialogue]]

    @cached_property
    def statistics(self) -> torch.Tensor:
        """float32 [variants, clips, 2 * width of a token], of the sound of every clip."""
        return torch.stack([torch.cat([_statistics(d) for d in v]) for v in self.variants])

    def draw(
        self, row: int, generator: np.random.Generator, modalities: Collection[str] = ("audio",)
    ) -> LabelledDialogue:
        """A random variant of a clip, cut to a random part of at least half its length."""
        variant = self.variants[int(generator.integers(len(self.variants)))]
        clip = variant[row].only(modalities)
        tokens = clip.turns[0].tokens["audio"]
        if len(tokens) < SHORTEST_CROP:
            return clip
        length = max(SHORTEST_CROP, int(len(tokens) * generator.uniform(0.5, 1.0)))
        first = int(generator.integers(len(tokens) - length + 1))
        part = slice(first, first + length)
        spans = tokens.spans[part] - tokens.spans[first, 0]
        return with_tokens(clip, "audio", Tokens(tokens.values[part], spans))


@dataclass(frozen=True)
class Sources:
    """The three corpora of one part.

    Attributes:
        speech: sentences of sound.
        faces: lists with a dialogue of one turn, a video of one frame, per picture: first as it is,
            then augmented. The votes are the targets; the label is the majority, if any.
        dialogues: MELD's, without the turns that have no words.
        lines: those turns again, each alone and encoded without context.
    """

    speech: Speech
    faces: list[list[LabelledDialogue]]
    dialogues: list[LabelledDialogue]
    lines: list[LabelledDialogue]

    def draw_faces(
        self, count: int, balance: float, generator: np.random.Generator
    ) -> list[LabelledDialogue]:
        """Random variants of random pictures, those of rarer votes more often.

        Args:
            count: of pictures, which can come twice.
            balance: exponent of the inverse class frequency: 0 = as is, 1 = balanced.
            generator: source of randomness.
        """
        votes = np.concatenate([face.targets for face in self.faces[0]])
        rows = generator.choice(len(votes), count, p=row_chances(votes, balance))
        variants = generator.integers(len(self.faces), size=count)
        return [self.faces[v][row] for v, row in zip(variants, rows, strict=True)]


def load_sources(job: Job, part: Part) -> Sources:
    """The three corpora of one part, by the text encoder and face CNN in the work folder."""
    return Sources(load_speech(job, part), _load_faces(job, part), *_load_text(job, part))


def load_speech(job: Job, part: Part) -> Speech:
    """Load the clips of speech of one part; those to train on also in augmented variants."""
    clips = [clip for clip in speech_clips(job.data) if clip.part == part]
    rows = [
        FeatureRow(
            UtteranceKey(part, i, 0),
            speaker_of(clip),
            clip.text,
            clip.emotion,
            nominal_seconds(clip.text),
        )
        for i, clip in enumerate(clips)
    ]
    words = _store_text(job, f"speech_{part}_words", rows)
    encoder = make_audio_encoder(job.config.audio.encoder)

    def variant(number: int) -> list[LabelledDialogue]:
        def encode(positions: range) -> list[Tokens]:
            generator = np.random.default_rng((number, positions.start))
            waves = [load_audio(clips[i].path) for i in positions]
            if number:
                waves = [augment_speech(wave, generator) for wave in waves]
            return encoder.encode(waves)

        store = store_tokens(
            job.work / "features" / f"speech_{part}_{number}",
            rows,
            "audio",
            TokenShape(encoder.dim, encoder.layers),
            encoder.identity,
            encode,
        )
        dialogues = load_dialogues([store, words], part, ["audio", "text"])
        return memory_mapped(dialogues, "audio", store.folder)

    count = job.recipe.branches.audio.variants if part == "train" else 0
    return Speech(clips, [variant(number) for number in range(count + 1)])


def speaker_of(clip: SpeechClip) -> str:
    """The name of the speaker, which no other corpus uses."""
    return f"{clip.corpus}/{clip.speaker}"


def _statistics(clip: LabelledDialogue) -> torch.Tensor:
    values = clip.turns[0].tokens["audio"].values.astype(np.float32)
    tokens = torch.from_numpy(values)[None]
    return statistics(tokens, torch.ones(tokens.shape[:2], dtype=torch.bool))


def _load_text(job: Job, part: Part) -> tuple[list[LabelledDialogue], list[LabelledDialogue]]:
    """MELD's dialogues in context, and their lines alone."""
    dialogues = meld_rows(job.data, part)
    rows = [row for dialogue in dialogues for row in dialogue]
    words = [turn.words for d in dialogues for turn in dialogue_of_rows(d).turns]
    in_context = _store_text(job, f"text_{part}_context", rows, words)
    alone = _store_text(job, f"text_{part}_alone", rows)
    taught = soft_targets_of_words(turns_with_words(in_context, part), job.work / TEXT_HEAD_FILE)
    lines = [line for d in turns_with_words(alone, part) for line in d.single_turns()]
    return taught, lines


def turns_with_words(store: FeatureStore, part: Part) -> list[LabelledDialogue]:
    """The stored dialogues without the turns that have no text tokens."""
    loaded = load_dialogues([store], part, ["text"])
    kept = [d.select([i for i, turn in enumerate(d.turns) if turn.tokens]) for d in loaded]
    return [dialogue for dialogue in kept if dialogue.turns]


def _store_text(
    job: Job, name: str, rows: Sequence[FeatureRow], words: Sequence[TextInput] | None = None
) -> FeatureStore:
    """Encode the words of some rows: `words`, or those of the rows without context."""
    encoder = make_text_encoder(job.config.text, job.work)
    said = words or [TextInput(row.text, (), row.duration) for row in rows]
    return store_tokens(
        job.work / "features" / name,
        rows,
        "text",
        TokenShape(encoder.dim),
        encoder.identity,
        lambda positions: encoder.encode([said[i] for i in positions]),
    )


def _load_faces(job: Job, part: Part) -> list[list[LabelledDialogue]]:
    """Load the FER+ pictures of one part; those to train on also in augmented variants."""
    faces, pictures = load_faces(job, part)
    encoder = make_visual_encoder(job.config.visual.encoder, job.work)
    assert isinstance(encoder, FaceCnnEncoder)
    network, span = encoder.network, np.array([[0.0, 0.25]], np.float32)
    rows = [
        FeatureRow(UtteranceKey(part, i, 0), None, "", int(emotion), 0.25)
        for i, emotion in enumerate(faces.majority)
    ]

    def variant(number: int) -> list[LabelledDialogue]:
        @torch.no_grad()
        def encode(positions: range) -> list[Tokens]:
            torch.manual_seed(len(pictures) * number + positions.start)
            inputs = to_input(pictures[positions.start : positions.stop])
            values = network.features(augment(inputs) if number else inputs).numpy()
            return [Tokens(value[None], span) for value in values]

        store = store_tokens(
            job.work / "features" / f"faces_{part}_{number}",
            rows,
            "visual",
            TokenShape(encoder.dim),
            encoder.identity,
            encode,
        )
        loaded = load_dialogues([store], part, ["visual"])
        pairs = zip(loaded, faces.votes[:, None], strict=True)
        return [replace(face, soft_targets=votes) for face, votes in pairs]

    count = job.recipe.face.variants if part == "train" else 0
    return [variant(number) for number in range(count + 1)]
