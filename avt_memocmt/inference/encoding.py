"""The encoders of a checkpoint, and how they turn an utterance into tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from avt_memocmt.config import MODALITIES, AudioConfig, Config
from avt_memocmt.features.audio_encoder import AudioEncoder, join_tokens
from avt_memocmt.features.base import Tokens
from avt_memocmt.features.encoder_cache import CachedTextEncoder, CachedVisualEncoder
from avt_memocmt.features.extract_audio_features import make_audio_encoder
from avt_memocmt.features.extract_text_features import make_text_encoder
from avt_memocmt.features.extract_visual_features import make_visual_encoder
from avt_memocmt.features.text_encoder import ContextTurn, TextEncoder, TextInput
from avt_memocmt.features.visual_encoder import VisualEncoder
from avt_memocmt.inference.transcript_alignment import word_spans
from avt_memocmt.inference.utterances import Utterance
from avt_memocmt.preprocessing.audio_forced_alignment import Aligner, make_aligner
from avt_memocmt.preprocessing.audio_preprocess import trim_silence
from avt_memocmt.preprocessing.audio_preprocess_vad import speech_segments

Stretch = tuple[float, NDArray[np.float32]]
"""Where a part of an utterance's sound begins, in seconds, and its samples."""


@dataclass(frozen=True)
class Encoders:
    """Encoders in evaluation mode; None where a modality is not wanted.

    Attributes:
        aligner: finds the time of each word in the sound; None without `text.align_words`.
    """

    audio: AudioEncoder | None
    visual: VisualEncoder | None
    text: TextEncoder | None
    aligner: Aligner | None = None

    @property
    def widths(self) -> dict[str, int]:
        """Width of a token of each modality."""
        by_modality = {"audio": self.audio, "visual": self.visual, "text": self.text}
        return {m: e.layers * e.dim for m, e in by_modality.items() if e is not None}

    @property
    def networks(self) -> list[nn.Module]:
        """The encoders that are not None."""
        return [e for e in (self.audio, self.visual, self.text) if isinstance(e, nn.Module)]

    def cached(self, faces: int, lines: int) -> Encoders:
        """Return the same encoders with caches, for live streams.

        Args:
            faces: number of recent faces whose tokens are kept.
            lines: number of recent lines of text whose tokens are kept; 0 = no cache of text.
        """
        visual, text = self.visual, self.text
        if visual is not None:
            visual = CachedVisualEncoder(visual, faces)
        if text is not None and lines:
            text = CachedTextEncoder(text, lines)
        return replace(self, visual=visual, text=text)


def load_encoders(
    config: Config, checkpoint: Path | None, modalities: Sequence[str] = MODALITIES
) -> Encoders:
    """Load the encoders that a config names.

    Args:
        config: names the encoders.
        checkpoint: folder with the weights of encoders that this project trained; None without any.
        modalities: those whose encoders are loaded.

    Raises:
        AvtError: weights are missing or not the pinned ones.
    """
    audio, visual, text = (name in modalities for name in MODALITIES)
    return Encoders(
        make_audio_encoder(config.audio.encoder) if audio else None,
        make_visual_encoder(config.visual.encoder, checkpoint) if visual else None,
        make_text_encoder(config.text, checkpoint) if text else None,
        make_aligner() if text and config.text.align_words else None,
    )


def encode_utterance(
    encoders: Encoders,
    config: Config,
    utterance: Utterance,
    context: Sequence[ContextTurn] = (),
    known_audio: Tokens | None = None,
) -> tuple[dict[str, Tokens], tuple[str, ...]]:
    """Encode the modalities that an utterance has.

    Args:
        encoders: of the modalities that are wanted.
        config: says how sound is cut before it is encoded, and how far apart pictures are.
        utterance: the raw material.
        context: earlier turns of the dialogue, oldest first.
        known_audio: tokens of the utterance's whole sound, if they were already computed.

    Returns:
        Tokens by modality, their times from the start of the utterance; and the warnings of the
        utterance and of its encoding, each once.
    """
    tokens: dict[str, Tokens] = {}
    warnings = utterance.warnings
    if encoders.audio is not None and utterance.samples is not None:
        stretches, found_warnings = kept_stretches(utterance.samples, config.audio)
        is_whole = len(stretches) == 1 and len(stretches[0][1]) == len(utterance.samples)
        known = known_audio if is_whole else None
        tokens["audio"] = known or _audio_tokens(encoders.audio, stretches)
        warnings += found_warnings
    if encoders.visual is not None and utterance.faces:
        period = 1 / config.visual.frames_per_second
        (tokens["visual"],) = encoders.visual.encode([utterance.faces], [utterance.start], period)
    if encoders.text is not None and utterance.text:
        spans, found_warnings = word_spans(encoders.aligner, utterance)
        seconds = utterance.end - utterance.start
        item = TextInput(utterance.text, tuple(context), seconds, spans)
        (tokens["text"],) = encoders.text.encode([item])
        warnings += found_warnings + tokens["text"].warnings
    present = {name: found for name, found in tokens.items() if len(found)}
    return present, tuple(dict.fromkeys(warnings))


def kept_stretches(
    samples: NDArray[np.float32], config: AudioConfig
) -> tuple[list[Stretch], tuple[str, ...]]:
    """Choose what is encoded of a sound: all, all but its silent ends, or only its speech.

    Args:
        samples: float32 [n], mono, 16 kHz.
        config: makes the choice, by `trim_silence` and `voice_activity`.

    Returns:
        The stretches in order, and warnings.
    """
    start = 0.0
    if config.trim_silence:
        samples, (start, _) = trim_silence(samples, config.trim_threshold_db)
    if not config.voice_activity:
        return [(start, samples)], ()
    segments, warnings = speech_segments(samples, config.segmentation)
    spoken = [segment for segment in segments if segment.is_speech] or segments
    return [(start + segment.start, segment.samples) for segment in spoken], tuple(warnings)


def _audio_tokens(encoder: AudioEncoder, stretches: Sequence[Stretch]) -> Tokens:
    """Encode each stretch and shift its tokens to where it lies in the utterance."""
    parts = []
    for start, samples in stretches:
        tokens = encoder.encode([samples])[0]
        parts.append(replace(tokens, spans=tokens.spans + np.float32(start)))
    return join_tokens(parts, encoder.layers * encoder.dim)
