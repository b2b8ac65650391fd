"""ONNX graphs of the fusion network: token level and dialogue level, with dynamic axes."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim

from avt_memocmt.config import MODALITIES
from avt_memocmt.data.dialogue_batch import ModalityBatch
from avt_memocmt.errors import AvtError
from avt_memocmt.features.extract_visual_features import FaceCnnEncoder
from avt_memocmt.features.text_encoder import TextEncoder
from avt_memocmt.features.whisper_encoder import N_MELS, WhisperTinyEncoder
from avt_memocmt.models.avt_memocmt import AvtMemoCmt

FUSION_INPUTS = tuple(f"{m}_{part}" for m in MODALITIES for part in ("values", "spans", "mask"))
FUSION_OUTPUTS = ("utterances", "weights", "novelty", *(f"{m}_opinion" for m in MODALITIES))
DIALOGUE_INPUTS = ("utterances", "turn_mask", "speaker_change")
DIALOGUE_OUTPUTS = ("logits",)


class FusionGraph(nn.Module):
    """`AvtMemoCmt.fuse` with plain tensors: inputs `FUSION_INPUTS`, outputs `FUSION_OUTPUTS`."""

    def __init__(self, model: AvtMemoCmt) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        audio_values: Tensor,
        audio_spans: Tensor,
        audio_mask: Tensor,
        visual_values: Tensor,
        visual_spans: Tensor,
        visual_mask: Tensor,
        text_values: Tensor,
        text_spans: Tensor,
        text_mask: Tensor,
    ) -> tuple[Tensor, ...]:
        """Shapes as in `ModalityBatch`, with the leading dimension [batch]."""
        parts = {
            "audio": ModalityBatch(audio_values, audio_spans, audio_mask),
            "visual": ModalityBatch(visual_values, visual_spans, visual_mask),
            "text": ModalityBatch(text_values, text_spans, text_mask),
        }
        fused = self.model.fuse(parts)
        unimodal_logits = (fused.unimodal_logits[m] for m in MODALITIES)
        return (fused.utterances, fused.modality_weights, fused.novelty, *unimodal_logits)


class DialogueGraph(nn.Module):
    """`AvtMemoCmt.classify`: inputs `DIALOGUE_INPUTS`, output the logits."""

    def __init__(self, model: AvtMemoCmt) -> None:
        super().__init__()
        self.model = model

    def forward(self, utterances: Tensor, turn_mask: Tensor, speaker_change: Tensor) -> Tensor:
        """See `AvtMemoCmt.classify`."""
        return self.model.classify(utterances, turn_mask, speaker_change)


def export_fusion(model: AvtMemoCmt, token_dims: dict[str, int], path: Path) -> None:
    """Write the token-level graph; batch size and token counts (at least 1) are dynamic.

    Args:
        token_dims: width of a token of each modality.

    Raises:
        AvtError: the network was trained without one of the modalities.
    """
    unheard = [m for m in MODALITIES if m not in model.modalities]
    if unheard:
        raise AvtError(
            f"the network was trained without {' and '.join(unheard)}, and the exported graph has "
            "inputs for all three modalities; export one that hears them."
        )
    example: list[Tensor] = []
    axes: list[dict[int, object]] = []
    for tokens, m in enumerate(MODALITIES, start=3):
        example += [
            torch.zeros(2, tokens, token_dims[m]),
            torch.zeros(2, tokens, 2),
            torch.ones(2, tokens, dtype=torch.bool),
        ]
        axes += [{0: Dim.DYNAMIC, 1: Dim.DYNAMIC}] * 3
    export_graph(FusionGraph(model), example, axes, FUSION_INPUTS, FUSION_OUTPUTS, path)


def export_dialogue(model: AvtMemoCmt, dim: int, path: Path) -> None:
    """Write the dialogue-level graph; batch size and number of turns are dynamic."""
    example = [
        torch.zeros(2, 5, dim),
        torch.ones(2, 5, dtype=torch.bool),
        torch.zeros(2, 5, dtype=torch.long),
    ]
    axes: list[dict[int, object]] = [{0: Dim.DYNAMIC, 1: Dim.DYNAMIC}] * 3
    export_graph(DialogueGraph(model), example, axes, DIALOGUE_INPUTS, DIALOGUE_OUTPUTS, path)


def export_graph(
    graph: nn.Module,
    example: list[Tensor],
    axes: list[dict[int, object]],
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    path: Path,
) -> None:
    """Write one graph.

    Args:
        graph: set to evaluation mode.
        example: inputs that it is traced with.
        axes: per input, the dimensions that stay free.
        inputs: their names.
        outputs: names of the outputs.
        path: the file.
    """
    torch.onnx.export(
        graph.eval(),
        tuple(example),
        str(path),
        input_names=list(inputs),
        output_names=list(outputs),
        dynamic_shapes=tuple(axes),
        dynamo=True,
        external_data=False,
        verbose=False,
    )


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
