"""What the fusion is trained on: dialogues of text, sentences of sound, single faces, and synthetic
meetings of the three.

No corpus at hand has the sound and the face of one moment together. A *synthetic pair* puts a
voice, a face and a line of different people into one utterance: of the same emotion, or mismatched
with a soft label between theirs. It trains the attentions between modalities; it is not a
conversation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from avt_memocmt.config import Config
from avt_memocmt.data.corpora import Part, SpeechClip, ferplus_faces, meld_dialogues, speech_clips
from avt_memocmt.data.dialogue_batch import TurnFeatures, speaker_changes
from avt_memocmt.data.manifest import SECONDS_PER_WORD
from avt_memocmt.emotions import NUM_EMOTIONS
from avt_memocmt.errors import AvtError
from avt_memocmt.features.base import Tokens
from avt_memocmt.features.extract_audio_features import AudioEncoder, make_audio_encoder
from avt_memocmt.features.extract_text_features import make_text_encoder
from avt_memocmt.features.extract_visual_features import FaceCnnEncoder, make_visual_encoder
from avt_memocmt.features.face_cnn import FaceCNN
from avt_memocmt.features.text_encoder import TextEncoder, TextInput
from avt_memocmt.models.heads import statistics
from avt_memocmt.preprocessing.audio_preprocess import load_audio
from avt_memocmt.recipe.face import aligned_pictures, augment, to_input
from avt_memocmt.recipe.speech_augmentation import augment_speech
from avt_memocmt.recipe.text import TEXT_HEAD_FILE, dialogue_inputs, text_unimodal_logits
from avt_memocmt.recipe.token_cache import TokenCache, cached_tokens

SPEECH_VARIANTS = 6
FACE_VARIANTS = 1

Labels = NDArray[np.float32]


@dataclass(frozen=True)
class Example:
    """One dialogue to learn from.

    Attributes:
        turns: tokens of each turn.
        labels: float32 [turns, 7], the distribution to predict.
        unimodal_logits: per modality float32 [turns, 7], what it alone shows; rows of zeros
            where it is absent.
    """

    turns: tuple[TurnFeatures, ...]
    labels: Labels
    unimodal_logits: dict[str, Labels]


@dataclass(frozen=True)
class TextPart:
    """MELD dialogues: token rows of each turn in two caches, with and without dialogue context.

    Attributes:
        judged: float32 [rows, 7], what the text encoder's own classifier says of each row in
            context. It is taught instead of the labels: the encoder has seen those of the lines it
            was tuned on, and a network taught them again trusts its tokens too much.
    """

    dialogues: list[list[int]]
    changes: list[list[int]]
    emotions: list[int]
    in_context: TokenCache
    alone: TokenCache
    judged: Labels


@dataclass(frozen=True)
class SpeechPart:
    """Sentences of sound: the clean tokens first, then augmented variants."""

    clips: list[SpeechClip]
    variants: list[TokenCache]
    sentences: dict[str, Tokens]

    @cached_property
    def statistics(self) -> torch.Tensor:
        """Of every clip in every variant, float32 [variants, clips, 2 * width of a token]."""
        return torch.stack(
            [torch.cat([_statistics(v, r) for r in range(len(v))]) for v in self.variants]
        )


@dataclass(frozen=True)
class FacePart:
    """Faces: token variants [n, 256], the plain one first; vote shares; majority class or -1."""

    variants: list[NDArray[np.float16]]
    votes: Labels
    majority: NDArray[np.int64]


def load_text(data: Path, part: Part, config: Config, work: Path) -> TextPart:
    """Encode MELD's lines with the fine-tuned text encoder that lies in `work`."""
    dialogues, changes, emotions = [], [], []
    inputs: list[TextInput] = []
    for dialogue in meld_dialogues(data, part):
        rows = range(len(inputs), len(inputs) + len(dialogue))
        dialogues.append(list(rows))
        speakers = [turn.speaker for turn in dialogue]
        changes.append(speaker_changes(speakers))
        for item, emotion in dialogue_inputs(dialogue, config.text.context_turns):
            seconds = SECONDS_PER_WORD * max(1, len(item.text.split()))
            inputs.append(TextInput(item.text, item.context, seconds))
            emotions.append(emotion)
    lines = [TextInput(item.text, (), item.duration) for item in inputs]

    def encode(items: Sequence[TextInput]) -> list[Tokens]:
        return _text_encoder(config, work).encode(items)

    folder = work / "cache"
    in_context = cached_tokens(folder / f"text_{part}_context", lambda: encode(inputs))
    return TextPart(
        dialogues,
        changes,
        emotions,
        in_context,
        cached_tokens(folder / f"text_{part}_alone", lambda: encode(lines)),
        text_unimodal_logits(in_context, work / TEXT_HEAD_FILE),
    )


def load_speech(data: Path, part: Part, config: Config, work: Path) -> SpeechPart:
    """Encode the speech corpora: as they are, and for training in augmented variants."""
    clips = [clip for clip in speech_clips(data) if clip.part == part]
    count = SPEECH_VARIANTS if part == "train" else 0
    variants = [
        cached_tokens(
            work / "cache" / f"speech_{part}_{number}",
            lambda number=number: _encode_clips(
                clips, number, make_audio_encoder(config.audio.encoder)
            ),  # type: ignore[misc]
        )
        for number in range(count + 1)
    ]
    texts = sorted({clip.text for clip in clips if clip.text})
    encoder = _text_encoder(config, work)
    inputs = [TextInput(text, (), SECONDS_PER_WORD * len(text.split())) for text in texts]
    return SpeechPart(clips, variants, dict(zip(texts, encoder.encode(inputs), strict=True)))


def load_faces(data: Path, part: Part, config: Config, work: Path) -> FacePart:
    """Encode FER+ with the face CNN that lies in `work`."""
    faces = ferplus_faces(data, part)
    pictures = aligned_pictures(faces, work / f"ferplus_{part}_aligned.npy")
    encoder = make_visual_encoder(config.visual.encoder, work)
    if not isinstance(encoder, FaceCnnEncoder):
        raise AvtError(
            "the recipe trains on FER+ with the face CNN; set visual.encoder to face-cnn."
        )
    network = encoder.network
    count = FACE_VARIANTS if part == "train" else 0
    variants = []
    for number in range(count + 1):
        path = work / "cache" / f"faces_{part}_{number}.npy"
        if not path.is_file():
            np.save(path, _encode_faces(network, pictures, number))
        variants.append(np.load(path, allow_pickle=False))
    return FacePart(variants, faces.votes, faces.majority)


def one_hot(label: int) -> Labels:
    """float32 [7] with a one at `label`."""
    return np.eye(NUM_EMOTIONS, dtype=np.float32)[label]


def text_example(text: TextPart, dialogue: int, soft_targets: bool = False) -> Example:
    """A MELD dialogue: words alone, with its labels or with what is `taught` instead."""
    rows = text.dialogues[dialogue]
    turns, labels = [], []
    for row, change in zip(rows, text.changes[dialogue], strict=True):
        tokens = text.in_context.tokens(row)
        turns.append(TurnFeatures({"text": tokens} if len(tokens) else {}, change))
        labels.append(text.judged[row] if soft_targets else one_hot(text.emotions[row]))
    kept = [i for i, turn in enumerate(turns) if turn.tokens]
    stacked = np.stack([labels[i] for i in kept])
    return Example(tuple(turns[i] for i in kept), stacked, {"text": stacked})


def speech_example(
    speech: SpeechPart, row: int, variant: int, with_text: bool, crop: float | None = None
) -> Example:
    """One sentence of sound, with its words where they are known and asked for.

    Args:
        crop: share of the clip to keep, from a place that it decides too; None keeps all.
    """
    clip = speech.clips[row]
    tokens = {"audio": _cropped(speech.variants[variant].tokens(row), crop)}
    label = one_hot(clip.emotion)[None]
    unimodal_logits = {"audio": label}
    if with_text and clip.text:
        tokens["text"] = speech.sentences[clip.text]
    return Example((TurnFeatures(tokens),), label, unimodal_logits)


def face_example(faces: FacePart, row: int, variant: int) -> Example:
    """One face as a video of one frame."""
    label = faces.votes[row][None]
    return Example(
        (TurnFeatures({"visual": face_tokens(faces, [row], variant)}),), label, {"visual": label}
    )


def face_tokens(faces: FacePart, rows: Sequence[int], variant: int, start: float = 0.0) -> Tokens:
    """Faces as consecutive frames, four a second."""
    times = start + 0.25 * np.arange(len(rows) + 1, dtype=np.float32)
    values = faces.variants[variant][list(rows)].astype(np.float32)
    return Tokens(values, np.stack([times[:-1], times[1:]], axis=1))


def _statistics(clips: TokenCache, row: int) -> torch.Tensor:
    values = torch.from_numpy(clips.tokens(row).values)[None]
    return statistics(values, torch.ones(values.shape[:2], dtype=torch.bool))


def _cropped(tokens: Tokens, crop: float | None) -> Tokens:
    if crop is None or len(tokens) < 50:
        return tokens
    length = max(50, int(len(tokens) * (0.5 + crop / 2)))
    first = int((len(tokens) - length) * (crop * 7919 % 1))
    part = slice(first, first + length)
    return Tokens(tokens.values[part], tokens.spans[part] - tokens.spans[first, 0])


def _text_encoder(config: Config, work: Path) -> TextEncoder:
    return make_text_encoder(config.text, work)


def _encode_clips(
    clips: Sequence[SpeechClip], variant: int, encoder: AudioEncoder
) -> Iterator[Tokens]:
    generator = np.random.default_rng(variant)
    for first in range(0, len(clips), 16):
        waves = [load_audio(clip.path) for clip in clips[first : first + 16]]
        if variant:
            waves = [augment_speech(wave, generator) for wave in waves]
        yield from encoder.encode(waves)


@torch.no_grad()
def _encode_faces(
    network: FaceCNN, pictures: NDArray[np.uint8], variant: int
) -> NDArray[np.float16]:
    torch.manual_seed(variant)
    rows = []
    for first in range(0, len(pictures), 512):
        inputs = to_input(pictures[first : first + 512])
        rows.append(network.features(augment(inputs) if variant else inputs).numpy())
    return np.concatenate(rows).astype(np.float16)
