"""PyTorch's networks in bfloat16, on processors that have instructions for it.

Linear layers keep their weights in bfloat16: to convert them at each call would cost as much as
bfloat16 saves. The spectrogram and Whisper's convolutions are quick and stay in float32.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from avt_memocmt.data.dialogue_batch import ModalityBatch
from avt_memocmt.errors import AvtError
from avt_memocmt.features.audio_encoder import AudioEncoder
from avt_memocmt.features.text_encoder import TextEncoder
from avt_memocmt.features.visual_encoder import VisualEncoder
from avt_memocmt.features.whisper_encoder import WhisperEncoder
from avt_memocmt.inference.engine import Engine, TorchEngine
from avt_memocmt.models.avt_memocmt import AvtMemoCmt, Fused

UNITS = ("avx512_bf16", "amx_bf16", "bf16")
"""PyTorch's names of the instructions for bfloat16 of AVX-512, AMX and ARM."""


def has_units() -> bool:
    """Whether this processor computes faster in bfloat16."""
    found = torch.cpu.get_capabilities()
    return any(found.get(unit) for unit in UNITS)


@dataclass
class Bfloat16Engine(Engine):
    """PyTorch on the processor in bfloat16.

    Attributes:
        model: the fusion network, whose linear layers are in bfloat16.
    """

    model: AvtMemoCmt

    def fuse(self, parts: dict[str, ModalityBatch]) -> Fused:
        """See `Engine.fuse`."""
        with _autocast():
            return self.model.fuse(parts).map(Tensor.float)

    def classify(self, utterances: Tensor, turn_mask: Tensor, speaker_change: Tensor) -> Tensor:
        """See `Engine.classify`."""
        with _autocast():
            return self.model.classify(utterances, turn_mask, speaker_change).float()

    def classify_sentiment(
        self, utterances: Tensor, turn_mask: Tensor, speaker_change: Tensor
    ) -> Tensor | None:
        """See `Engine.classify_sentiment`."""
        with _autocast():
            found = self.model.classify_sentiment(utterances, turn_mask, speaker_change)
        return None if found is None else found.float()


def in_bfloat16(engine: TorchEngine) -> Bfloat16Engine:
    """Convert an engine's networks in place; the given engine cannot be used afterwards.

    Raises:
        AvtError: the processor has no instructions for bfloat16, and would be slower for it.
    """
    if not has_units():
        raise AvtError("this processor has no units for bfloat16; use --engine torch instead.")
    for network in (engine.model, *engine.encoders.networks):
        for module in network.modules():
            if isinstance(module, nn.Linear):
                module.to(torch.bfloat16)
    audio, visual, text = engine.encoders.audio, engine.encoders.visual, engine.encoders.text
    if isinstance(audio, WhisperEncoder):
        audio = _Whisper(audio)
    elif audio is not None:
        audio = _AudioEncoder(audio)
    if visual is not None:
        visual = _VisualEncoder(visual)
    if text is not None:
        text = TextEncoder(_TextModel(text.model), text.tokenizer, text.config, text.identity)
    encoders = replace(engine.encoders, audio=audio, visual=visual, text=text)
    return Bfloat16Engine(encoders, engine.model)


class _Whisper(WhisperEncoder):
    def __init__(self, encoder: WhisperEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def stem(self, mel: Tensor) -> Tensor:
        return self.encoder.stem(mel)

    def hidden_states(self, stem: Tensor, keys: Tensor | None) -> Tensor:
        with _autocast():
            return self.encoder.hidden_states(stem, keys).float()


class _AudioEncoder(AudioEncoder):
    def __init__(self, encoder: AudioEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.dim, self.layers, self.rate = encoder.dim, encoder.layers, encoder.rate
        self.identity = encoder.identity

    def tokens_for(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        with _autocast():
            tokens, mask = self.encoder.tokens_for(waveforms, lengths)
        return tokens.float(), mask


class _VisualEncoder(VisualEncoder):
    def __init__(self, encoder: VisualEncoder) -> None:
        super().__init__(encoder.mean.flatten().tolist(), encoder.std.flatten().tolist())
        self.encoder = encoder
        self.dim, self.side, self.identity = encoder.dim, encoder.side, encoder.identity

    def feature_map(self, pixels: Tensor) -> Tensor:
        return self.encoder.feature_map(pixels)

    def forward(self, pixels: Tensor) -> Tensor:
        with _autocast():
            return super().forward(pixels).float()


class _TextModel(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model, self.config = model, model.config

    def forward(self, **inputs: Tensor) -> Any:
        with _autocast():
            found = self.model(**inputs)
        found.last_hidden_state = found.last_hidden_state.float()
        return found


def _autocast() -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16)
