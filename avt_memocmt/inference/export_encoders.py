"""ONNX graphs of the embedded preset's encoders, with dynamic axes."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim

from avt_memocmt.features.extract_text_features import TextEncoder
from avt_memocmt.features.extract_visual_features import FaceCnnEncoder
from avt_memocmt.features.whisper_encoder import N_MELS, WhisperTinyEncoder
from avt_memocmt.inference.export import export_graph

STEM_INPUTS, STEM_OUTPUTS = ("mel",), ("stem",)
BLOCKS_INPUTS, BLOCKS_OUTPUTS = ("stem", "keys"), ("states",)
FACE_INPUTS, FACE_OUTPUTS = ("pixels",), ("tokens",)
TEXT_INPUTS, TEXT_OUTPUTS = ("input_ids", "attention_mask", "token_type_ids"), ("hidden",)


class StemGraph(nn.Module):
    """Whisper's two convolutions: [batch, 80, 2 * tokens] -> [batch, tokens, 384]."""

    def __init__(self, encoder: WhisperTinyEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, mel: Tensor) -> Tensor:
        """See `WhisperTinyEncoder.stem`."""
        return self.encoder.stem(mel)


class BlocksGraph(nn.Module):
    """Whisper's blocks: all hidden states of a stem under a mask."""

    def __init__(self, encoder: WhisperTinyEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, stem: Tensor, keys: Tensor) -> Tensor:
        """See `WhisperTinyEncoder.hidden_states`; `keys` is bool [batch, 1, tokens, tokens]."""
        # As numbers to add, once: with truth values each block replaces what it cannot attend to.
        bias = torch.where(keys, 0.0, float("-inf"))
        return self.encoder.hidden_states(stem, bias)


class TextGraph(nn.Module):
    """The text model from ids to hidden states."""

    def __init__(self, encoder: TextEncoder) -> None:
        super().__init__()
        self.model = encoder.model

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        """int64 [batch, length] each -> [batch, length, dim]."""
        hidden: Tensor = self.model(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).last_hidden_state
        return hidden


def export_audio(encoder: WhisperTinyEncoder, stem: Path, blocks: Path) -> None:
    """Write Whisper's encoder as two graphs: one pass of the second serves sound and silence."""
    mel = torch.zeros(2, N_MELS, 2 * 40)
    export_graph(
        StemGraph(encoder),
        [mel],
        [{0: Dim.DYNAMIC, 2: Dim.DYNAMIC}],
        STEM_INPUTS,
        STEM_OUTPUTS,
        stem,
    )
    example = [torch.zeros(2, 40, encoder.dim), torch.ones(2, 1, 40, 40, dtype=torch.bool)]
    axes: list[dict[int, object]] = [
        {0: Dim.DYNAMIC, 1: Dim.DYNAMIC},
        {0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC},
    ]
    export_graph(BlocksGraph(encoder), example, axes, BLOCKS_INPUTS, BLOCKS_OUTPUTS, blocks)


def export_faces(encoder: FaceCnnEncoder, path: Path) -> None:
    """Write the face encoder, RGB pixels to tokens."""
    example = [torch.zeros(2, 3, encoder.side, encoder.side)]
    export_graph(encoder, example, [{0: Dim.DYNAMIC}], FACE_INPUTS, FACE_OUTPUTS, path)


def export_text(encoder: TextEncoder, path: Path) -> None:
    """Write the text model."""
    example = [torch.ones(2, 12, dtype=torch.long) for _ in TEXT_INPUTS]
    axes: list[dict[int, object]] = [{0: Dim.DYNAMIC, 1: Dim.DYNAMIC}] * 3
    export_graph(TextGraph(encoder), example, axes, TEXT_INPUTS, TEXT_OUTPUTS, path)
