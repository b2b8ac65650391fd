"""The networks of a checkpoint as ONNX graphs with dynamic axes: what each takes and returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from avt_memocmt.config import MODALITIES
from avt_memocmt.data.dialogue_batch import ModalityBatch
from avt_memocmt.errors import AvtError
from avt_memocmt.features.text_encoder import TextEncoder
from avt_memocmt.features.visual_encoder import VisualEncoder
from avt_memocmt.features.whisper_encoder import N_MELS, WhisperEncoder
from avt_memocmt.models.avt_memocmt import AvtMemoCmt

FUSION_INPUTS = tuple(f"{m}_{part.name}" for m in MODALITIES for part in fields(ModalityBatch))
FUSION_OUTPUTS = (
    "utterances",
    "pooled_logits",
    "corrected",
    "modality_weights",
    "temperature",
    *(f"{m}_unimodal_logits" for m in MODALITIES),
)
DIALOGUE_INPUTS = ("utterances", "turn_mask", "speaker_change")

Inputs = Mapping[str, tuple[Tensor, tuple[int, ...]]]
"""By name: a tensor to trace a network with, and the dimensions whose size stays free."""


class NetworkGraph(nn.Module):
    """A function of a network, as the module that the exporter asks for.

    Args:
        network: owns the weights.
        call: computes the outputs from the inputs, given in order.
        inputs: see `Inputs`.
        outputs: names of the outputs.
    """

    def __init__(
        self, network: nn.Module, call: Callable[..., Any], inputs: Inputs, outputs: Sequence[str]
    ) -> None:
        super().__init__()
        self.network, self.call, self.inputs, self.outputs = network, call, inputs, outputs

    def forward(self, *inputs: Tensor) -> Any:
        """Compute the outputs."""
        return self.call(*inputs)

    def write(self, path: Path) -> None:
        """Trace the network and write the graph to a file."""
        shapes = tuple(dict.fromkeys(free, Dim.DYNAMIC) for _, free in self.inputs.values())
        torch.onnx.export(
            self.eval(),
            tuple(example for example, _ in self.inputs.values()),
            str(path),
            input_names=list(self.inputs),
            output_names=list(self.outputs),
            dynamic_shapes=(shapes,),
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def fusion_graph(model: AvtMemoCmt) -> NetworkGraph:
    """`AvtMemoCmt.fuse`; batch size and token counts (at least 1) are free.

    Raises:
        AvtError: the network was trained without one of the modalities.
    """
    unheard = [m for m in MODALITIES if m not in model.modalities]
    if unheard:
        raise AvtError(
            f"the network was trained without {' and '.join(unheard)}, and the exported graph has "
            "inputs for all three modalities; export one that hears them."
        )

    parts = len(fields(ModalityBatch))

    def fuse(*tensors: Tensor) -> tuple[Tensor, ...]:
        batches = (
            ModalityBatch(*tensors[first : first + parts])
            for first in range(0, len(tensors), parts)
        )
        fused = model.fuse(dict(zip(MODALITIES, batches, strict=True)))
        own = (fused.unimodal_logits[m] for m in MODALITIES)
        return (
            fused.utterances,
            fused.pooled_logits,
            fused.corrected,
            fused.modality_weights,
            fused.temperature,
            *own,
        )

    examples: list[tuple[Tensor, tuple[int, ...]]] = []
    for tokens, m in enumerate(MODALITIES, start=3):
        width = model.widths[m]
        examples += [
            (torch.zeros(2, tokens, width), (0, 1)),
            (torch.zeros(2, tokens, 2), (0, 1)),
            (torch.ones(2, tokens, dtype=torch.bool), (0, 1)),
            (torch.zeros(2, 2 * width), (0,)),
            (torch.zeros(2), (0,)),
        ]
    inputs = dict(zip(FUSION_INPUTS, examples, strict=True))
    return NetworkGraph(model, fuse, inputs, FUSION_OUTPUTS)


def dialogue_graph(model: AvtMemoCmt) -> NetworkGraph:
    """`AvtMemoCmt.classify`; batch size and number of turns are free."""
    mask = torch.ones(2, 5, dtype=torch.bool)
    examples = (torch.zeros(2, 5, model.dim), mask, torch.zeros(2, 5, dtype=torch.long))
    inputs = {n: (x, (0, 1)) for n, x in zip(DIALOGUE_INPUTS, examples, strict=True)}
    return NetworkGraph(model, model.classify, inputs, ("correction",))


def audio_graphs(encoder: WhisperEncoder) -> tuple[NetworkGraph, NetworkGraph]:
    """`WhisperEncoder.stem` and `hidden_states`: the latter serves sound and silence in one pass.

    `keys` is bool [batch, 1, tokens, tokens].
    """

    def hidden_states(stem: Tensor, keys: Tensor) -> Tensor:
        # As numbers to add, once: with truth values each block replaces what it cannot attend to.
        return encoder.hidden_states(stem, torch.where(keys, 0.0, float("-inf")))

    mel: Inputs = {"mel": (torch.zeros(2, N_MELS, 2 * 40), (0, 2))}
    stem: Inputs = {
        "stem": (torch.zeros(2, 40, encoder.dim), (0, 1)),
        "keys": (torch.ones(2, 1, 40, 40, dtype=torch.bool), (0, 2, 3)),
    }
    return (
        NetworkGraph(encoder, encoder.stem, mel, ("stem",)),
        NetworkGraph(encoder, hidden_states, stem, ("states",)),
    )


def face_graph(encoder: VisualEncoder) -> NetworkGraph:
    """The face encoder: RGB pixels to tokens."""
    pixels = torch.zeros(2, 3, encoder.side, encoder.side)
    return NetworkGraph(encoder, encoder, {"pixels": (pixels, (0,))}, ("tokens",))


def text_graph(encoder: TextEncoder) -> NetworkGraph:
    """The text model: ids to hidden states."""

    def hidden(ids: Tensor, mask: Tensor, types: Tensor) -> Tensor:
        found = encoder.model(input_ids=ids, attention_mask=mask, token_type_ids=types)
        states: Tensor = found.last_hidden_state
        return states

    ids = torch.ones(2, 12, dtype=torch.long)
    names = ("input_ids", "attention_mask", "token_type_ids")
    return NetworkGraph(encoder, hidden, {n: (ids.clone(), (0, 1)) for n in names}, ("hidden",))
