"""The encoders of a checkpoint, and an utterance's tokens: the same for training and prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
        aligner: times the words by the sound, with `text.align_words`.
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

    def remembering(self, faces: int, lines: int) -> Encoders:
        """The same encoders, which encode a recent face or line only once, for live streams.

        Args:
            faces: how many are remembered.
            lines: likewise of text; 0 = none.
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
        checkpoint: folder with the weights of those that this project trained; None if there are
            none.
        modalities: the others' encoders are left out.

    Raises:
        AvtError: weights are missing or not the pinned ones.
    """
    heard, seen, read = (name in modalities for name in ("audio", "visual", "text"))
    return Encoders(
        make_audio_encoder(config.audio.encoder) if heard else None,
        make_visual_encoder(config.visual.encoder, checkpoint) if seen else None,
        make_text_encoder(config.text, checkpoint) if read else None,
        make_aligner() if read and config.text.align_words else None,
    )


def encode_utterance(
    encoders: Encoders,
    config: Config,
    utterance: Utterance,
    context: Sequence[ContextTurn] = (),
    known_audio: Tokens | None = None,
) -> tuple[dict[str, Tokens], tuple[str, ...]]:
    """Tokens of the modalities that an utterance has, and the warnings of utterance and encoding.

    Token times count from the start of the utterance.

    Args:
        context: earlier turns of the dialogue, oldest first.
        known_audio: tokens of its whole sound, where they were computed already.
    """
    tokens: dict[str, Tokens] = {}
    warnings = utterance.warnings
    if encoders.audio is not None and utterance.samples is not None:
        stretches, noticed = kept_stretches(utterance.samples, config.audio)
        is_whole = len(stretches) == 1 and len(stretches[0][1]) == len(utterance.samples)
        known = known_audio if is_whole else None
        tokens["audio"] = known or _audio_tokens(encoders.audio, stretches)
        warnings += noticed
    if encoders.visual is not None and utterance.faces:
        period = 1 / config.visual.frames_per_second
        (found,) = encoders.visual.encode([utterance.faces], [utterance.start], period)
        tokens["visual"] = found
    if encoders.text is not None and utterance.text:
        spans, noticed = word_spans(encoders.aligner, utterance)
        seconds = utterance.end - utterance.start
        item = TextInput(utterance.text, tuple(context), seconds, spans)
        tokens["text"] = encoders.text.encode([item])[0]
        warnings += noticed
    present = {name: found for name, found in tokens.items() if len(found)}
    return present, tuple(dict.fromkeys(warnings))


def kept_stretches(
    samples: NDArray[np.float32], config: AudioConfig
) -> tuple[list[Stretch], tuple[str, ...]]:
    """What is encoded of a sound: all, or without silent ends, or what is spoken; and warnings.

    Args:
        samples: float32 [n], mono, 16 kHz.
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
    """Tokens of each stretch at its own time."""
    parts = []
    for start, samples in stretches:
        tokens = encoder.encode([samples])[0]
        parts.append(replace(tokens, spans=tokens.spans + np.float32(start)))
    return join_tokens(parts, encoder.layers * encoder.dim)
