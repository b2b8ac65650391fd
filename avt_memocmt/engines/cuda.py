"""PyTorch's networks on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import torch
from torch import Tensor

from avt_memocmt.data.dialogue_batch import ModalityBatch
from avt_memocmt.errors import AvtError
from avt_memocmt.inference.encoding import Encoders
from avt_memocmt.models.avt_memocmt import AvtMemoCmt, Fused


def use_gpu(model: AvtMemoCmt, encoders: Encoders) -> None:
    """Let the networks compute on the GPU from now on; what they give comes back.

    Raises:
        AvtError: PyTorch finds no GPU.
    """
    if not torch.cuda.is_available():
        raise AvtError("PyTorch finds no GPU here; use --engine torch instead.")
    move_networks(model, encoders, torch.device("cuda"))


def move_networks(model: AvtMemoCmt, encoders: Encoders, device: torch.device) -> None:
    """The same for any device. Encoders take their input to it by themselves."""
    # The seven logits are back by the time they are calibrated.
    parts = [part for part in model.children() if part is not model.temperature]
    for network in (encoders.audio, encoders.visual, encoders.text, *parts):
        if network is not None:
            network.to(device)
    # A method of an object, replaced for this object alone.
    model.fuse = _fuse_on(device, model.fuse)  # type: ignore[assignment]
    model.classify = _classify_on(device, model.classify)  # type: ignore[assignment]


def _fuse_on(
    device: torch.device, fuse: Callable[[dict[str, ModalityBatch]], Fused]
) -> Callable[[dict[str, ModalityBatch]], Fused]:
    @wraps(fuse)
    def run(parts: dict[str, ModalityBatch]) -> Fused:
        return fuse({name: part.to(device) for name, part in parts.items()}).map(Tensor.cpu)

    return run


def _classify_on(
    device: torch.device, classify: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    @wraps(classify)
    def run(utterances: Tensor, turn_mask: Tensor, speaker_change: Tensor) -> Tensor:
        return classify(
            *(part.to(device) for part in (utterances, turn_mask, speaker_change))
        ).cpu()

    return run
