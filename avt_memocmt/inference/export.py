"""ONNX graphs of the fusion network: token level and dialogue level, with dynamic axes."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim

from avt_memocmt.data.dialogue_batch import ModalityBatch
from avt_memocmt.errors import AvtError
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.models.cross_modal_transformer import MODALITIES

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
        opinions = (fused.opinions[m] for m in MODALITIES)
        return (fused.utterances, fused.weights, fused.novelty, *opinions)


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
