"""The training data of the recipe: speech, faces and words, encoded once and kept in stores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avt_memocmt.config import TokenShape
from avt_memocmt.data.corpora import Part, SpeechClip, speech_clips
from avt_memocmt.data.feature_store import FeatureRow, FeatureStore
from avt_memocmt.data.index import UtteranceKey
from avt_memocmt.data.labelled_dialogues import (
    LabelledDialogue,
    dialogue_of_rows,
    load_dialogues,
    only_turns,
)
from avt_memocmt.data.manifest import nominal_seconds
from avt_memocmt.data.speaker_baselines import Baseline, random_others, token_statistics
from avt_memocmt.features.base import Tokens
from avt_memocmt.features.extract_audio_features import make_audio_encoder
from avt_memocmt.features.extract_text_features import make_text_encoder
from avt_memocmt.features.extract_visual_features import FaceCnnEncoder, make_visual_encoder
from avt_memocmt.features.text_encoder import TextInput
from avt_memocmt.preprocessing.audio_preprocess import load_audio
from avt_memocmt.recipe.face import FaceCorpus, augment, load_faces, row_chances, to_input
from avt_memocmt.recipe.settings import Job
from avt_memocmt.recipe.speech_augmentation import augment_speech
from avt_memocmt.recipe.stored_tokens import memory_mapped, store_tokens, with_tokens
from avt_memocmt.recipe.text import TEXT_HEAD_FILE, meld_rows, soft_targets_of_words

SHORTEST_CROP = 50
"""Tokens, one second."""
NO_BASELINE = 1 / 3
"""Share of the training samples that are judged without a baseline of their speaker."""
MOST_OTHERS = 24
"""Other utterances or pictures of one person that a baseline in training comes from at most."""
SECONDS_PER_FACE = 0.25
MOST_FRAMES = 6
VIDEOS = 0.5
"""Share of the pictures that come with further frames, in training."""
MOST_TALKING = 0.5
"""Share of the frames of such a video, at most, that show something else."""
FACES_AT_ONCE = 64
"""Pictures that are encoded together."""
BACKGROUND_VOICES = 200
"""Clips of the train part from which the voices in the background are mixed."""


@dataclass(frozen=True)
class Speech:
    """Sentences of sound.

    Attributes:
        clips: corpus, speaker and label of each.
        variants: lists with a dialogue of one turn per clip: first as recorded, then augmented.
    """

    clips: list[SpeechClip]
    variants: list[list[LabelledDialogue]]

    @cached_property
    def statistics(self) -> Tensor:
        """float32 [variants, clips, 2 * width of a token], of the sound of every clip.

        Of every second variant only a random part of each clip is heard.
        """
        generator = np.random.default_rng(0)
        found = []
        for number, variant in enumerate(self.variants):
            sounds = [clip.turns[0].tokens["audio"] for clip in variant]
            if number % 2:
                sounds = [random_part(sound, generator) for sound in sounds]
            found.append(np.stack([token_statistics(sound) for sound in sounds]))
        return torch.from_numpy(np.stack(found))

    @cached_property
    def groups(self) -> dict[str, NDArray[np.int64]]:
        """The clips of each speaker."""
        return rows_by([speaker_of(clip) for clip in self.clips])

    def draw(self, row: int, generator: np.random.Generator) -> LabelledDialogue:
        """A random variant of a clip, cut to a random part of at least half its length."""
        clip = self.variants[int(generator.integers(len(self.variants)))][row]
        return with_tokens(clip, "audio", random_part(clip.turns[0].tokens["audio"], generator))

    def baselines(
        self,
        variant: int,
        rows: Sequence[int] | NDArray[np.int64],
        counts: Sequence[int] | NDArray[np.int64],
        generator: np.random.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Baselines of the speakers of some clips, from random other clips of theirs.

        Args:
            variant: whose statistics are taken.
            rows: the clips.
            counts: of how many other clips, for each; fewer where there are not so many.
            generator: source of randomness.

        Returns:
            float32 [rows, 2 * width], 0 where the count is 0; and float32 [rows], the counts.
        """
        table = self.statistics[variant]
        found, used = torch.zeros(len(rows), table.shape[1]), torch.zeros(len(rows))
        for place, (row, count) in enumerate(zip(rows, counts, strict=True)):
            group = self.groups[speaker_of(self.clips[row])]
            chosen = random_others(group, int(row), int(count), generator)
            if len(chosen):
                found[place], used[place] = table[chosen].mean(dim=0), len(chosen)
        return found, used


def rows_by(names: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """The positions of each name."""
    places: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        places.setdefault(name, []).append(row)
    return {name: np.array(rows) for name, rows in places.items()}


RowsByEmotion = dict[int, NDArray[np.int64]]
"""Positions of clips or pictures by emotion, of those emotions that occur."""


def split_by_emotion(rows: NDArray[np.int64], emotions: NDArray[np.int64]) -> RowsByEmotion:
    """Rows by what they show; those without a label are left out.

    Args:
        rows: positions.
        emotions: of every position, -1 where unknown.
    """
    shown = emotions[rows]
    return {int(e): rows[shown == e] for e in np.unique(shown) if e >= 0}


def random_part(sound: Tokens, generator: np.random.Generator) -> Tokens:
    """A random part of at least half the length, and of at least a second."""
    if len(sound) < SHORTEST_CROP:
        return sound
    length = max(SHORTEST_CROP, int(len(sound) * generator.uniform(0.5, 1.0)))
    first = int(generator.integers(len(sound) - length + 1))
    part = slice(first, first + length)
    return Tokens(sound.values[part], sound.spans[part] - sound.spans[first, 0])


def random_counts(size: int, most: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """How many other utterances baselines come from, [size]: a third have none.

    The others have 1 to `most`, small numbers as often as large ones on a logarithmic scale, as
    turns have early and late in dialogues.
    """
    counts = np.exp(generator.uniform(0, np.log(most + 1), size)).astype(np.int64)
    return np.where(generator.random(size) < NO_BASELINE, 0, np.minimum(counts, most))


@dataclass(frozen=True)
class FaceTokens:
    """Pictures of faces, of all corpora.

    Attributes:
        variants: lists with a dialogue of one turn, a video of one frame, per picture: first as it
            is, then augmented. The votes are the targets; the label is the majority, if any.
        people: who each is, by names that no other corpus uses; "" where unknown.
        chances: float [n], with which each is drawn; they sum to 1.
    """

    variants: list[list[LabelledDialogue]]
    people: list[str]
    chances: NDArray[np.float64]

    @cached_property
    def groups(self) -> dict[str, NDArray[np.int64]]:
        """The pictures of each person."""
        return rows_by(self.people)

    @cached_property
    def by_emotion(self) -> dict[str, RowsByEmotion]:
        """The pictures of each person, "" for all whose person is unknown, by emotion."""
        shown = np.array([int(face.emotions[0]) for face in self.variants[0]])
        return {name: split_by_emotion(rows, shown) for name, rows in self.groups.items()}

    def draw(self, count: int, generator: np.random.Generator) -> list[LabelledDialogue]:
        """Random variants of random pictures, half of them as videos of several frames.

        They come with baselines from random numbers of other pictures of the person.

        Args:
            count: of pictures, which can come twice.
            generator: source of randomness.
        """
        rows = generator.choice(len(self.people), count, p=self.chances)
        owns = random_counts(count, MOST_OTHERS, generator)
        found = []
        for row, own in zip(rows, owns, strict=True):
            face = self.variants[int(generator.integers(len(self.variants)))][row]
            emotion = int(face.emotions[0])
            if generator.random() < VIDEOS and emotion >= 0:
                person = self.by_emotion[self.people[row]]
                video = self.video(person, emotion, generator.uniform(0, MOST_TALKING), generator)
                face = with_tokens(face, "visual", video)
            found.append(self._with_baseline(face, int(row), int(own), generator))
        return found

    def video(
        self,
        person: RowsByEmotion,
        emotion: int,
        talking: float,
        generator: np.random.Generator,
    ) -> Tokens:
        """Some frames of a face, four a second.

        Args:
            person: from `by_emotion`.
            emotion: one that the person has pictures of.
            talking: share of the frames that show something else, as a mouth that speaks does.
            generator: source of randomness.
        """
        variant = self.variants[int(generator.integers(len(self.variants)))]
        values = []
        for _ in range(int(generator.integers(1, MOST_FRAMES + 1))):
            other = generator.random() < talking
            shown = int(generator.choice(sorted(person))) if other else emotion
            face = variant[int(generator.choice(person[shown]))]
            values.append(face.turns[0].tokens["visual"].values)
        times = SECONDS_PER_FACE * np.arange(len(values) + 1, dtype=np.float32)
        return Tokens(np.concatenate(values), np.stack([times[:-1], times[1:]], axis=1))

    def _with_baseline(
        self, face: LabelledDialogue, row: int, count: int, generator: np.random.Generator
    ) -> LabelledDialogue:
        """A face with the baseline of so many random other pictures of the same person."""
        if not self.people[row]:
            return face
        chosen = random_others(self.groups[self.people[row]], row, count, generator)
        if not len(chosen):
            return face
        tokens = [self.variants[0][other].turns[0].tokens["visual"] for other in chosen]
        own = Baseline(np.mean([token_statistics(t) for t in tokens], axis=0), len(chosen))
        (turn,) = face.turns
        return replace(face, turns=(replace(turn, baselines={"visual": own}),))


@dataclass(frozen=True)
class Sources:
    """The corpora of one part.

    Attributes:
        speech: sentences of sound.
        faces: pictures.
        dialogues: MELD's, without the turns that have no words.
        lines: those turns again, each alone and encoded without context.
    """

    speech: Speech
    faces: FaceTokens
    dialogues: list[LabelledDialogue]
    lines: list[LabelledDialogue]


def load_sources(job: Job, part: Part) -> Sources:
    """The corpora of one part, by the text encoder and face CNN in the work folder."""
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
    encoder = make_audio_encoder(job.config.audio.encoder)
    drawn = np.random.default_rng(0).permutation(len(clips))[:BACKGROUND_VOICES]
    voices = [load_audio(clips[i].path) for i in drawn] if part == "train" else []
    names = sorted({speaker_of(clip) for clip in clips})
    speakers = [names.index(speaker_of(clip)) for clip in clips]

    def variant(number: int) -> list[LabelledDialogue]:
        def encode(positions: range) -> list[Tokens]:
            generator = np.random.default_rng((number, positions.start))
            waves = [load_audio(clips[i].path) for i in positions]
            if number:
                places = [np.random.default_rng((number, speakers[i])) for i in positions]
                pairs = zip(waves, places, strict=True)
                waves = [augment_speech(wave, voices, p, generator) for wave, p in pairs]
            return encoder.encode(waves)

        store = store_tokens(
            job.work / "features" / f"speech_{part}_{number}",
            rows,
            "audio",
            TokenShape(encoder.dim, encoder.layers),
            encoder.identity,
            encode,
        )
        return memory_mapped(load_dialogues([store], part, ["audio"]), "audio", store.folder)

    count = job.recipe.branches.audio.variants if part == "train" else 0
    return Speech(clips, [variant(number) for number in range(count + 1)])


def speaker_of(clip: SpeechClip) -> str:
    """The name of the speaker, which no other corpus uses."""
    return f"{clip.corpus}/{clip.speaker}"


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
    return only_turns(load_dialogues([store], part, ["text"]), lambda turn: bool(turn.tokens))


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


def _load_faces(job: Job, part: Part) -> FaceTokens:
    """Load the pictures of one part; those to train on also in augmented variants."""
    encoder = make_visual_encoder(job.config.visual.encoder, job.work)
    assert isinstance(encoder, FaceCnnEncoder)
    settings = job.recipe.face
    corpora = load_faces(job, part)
    count = settings.variants if part == "train" else 0
    variants = [
        [face for corpus in corpora for face in _encoded_faces(job, part, encoder, corpus, number)]
        for number in range(count + 1)
    ]
    people = [
        f"{corpus.faces.corpus}/{name}" if name else ""
        for corpus in corpora
        for name in corpus.faces.people or [""] * len(corpus.faces)
    ]
    shares = settings.rounds[-1].shares
    chances = np.concatenate(
        [
            shares.get(corpus.faces.corpus, 0.0) * row_chances(corpus.faces.votes, settings.balance)
            for corpus in corpora
        ]
    )
    return FaceTokens(variants, people, chances / chances.sum())


def _encoded_faces(
    job: Job, part: Part, encoder: FaceCnnEncoder, corpus: FaceCorpus, number: int
) -> list[LabelledDialogue]:
    """One variant of the pictures of a corpus: 0 as they are, others augmented."""
    faces, span = corpus.faces, np.array([[0.0, SECONDS_PER_FACE]], np.float32)
    rows = [
        FeatureRow(UtteranceKey(part, i, 0), None, "", int(emotion), SECONDS_PER_FACE)
        for i, emotion in enumerate(faces.majority)
    ]

    @torch.no_grad()
    def encode(positions: range) -> list[Tokens]:
        torch.manual_seed(len(faces) * number + positions.start)
        found = []
        for first in range(positions.start, positions.stop, FACES_AT_ONCE):
            last = min(first + FACES_AT_ONCE, positions.stop)
            inputs = to_input(corpus.aligned[first:last])
            found.append(encoder.network.features(augment(inputs) if number else inputs))
        return [Tokens(value[None], span) for value in torch.cat(found).numpy()]

    store = store_tokens(
        job.work / "features" / f"{faces.corpus}_{part}_{number}",
        rows,
        "visual",
        TokenShape(encoder.dim),
        encoder.identity,
        encode,
    )
    loaded = load_dialogues([store], part, ["visual"])
    pairs = zip(loaded, faces.votes[:, None], strict=True)
    return [replace(face, soft_targets=votes) for face, votes in pairs]
