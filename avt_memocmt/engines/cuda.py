"""PyTorch's networks on a GPU."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import torch
from torch import Tensor

from avt_memocmt.data.dialogue_batch import ModalityBatch
from avt_memocmt.errors import AvtError
from avt_memocmt.inference.engine import Engine, TorchEngine
from avt_memocmt.models.avt_memocmt import AvtMemoCmt, Fused


@dataclass
class DeviceEngine(Engine):
    """PyTorch on another device than the processor; inputs are copied there and results back.

    Attributes:
        model: the fusion network, which is moved to the device, as are the encoders.
        device: where to compute.
    """

    model: AvtMemoCmt
    device: torch.device
    process: int = field(default_factory=os.getpid)
    """Id of the process that holds the networks."""

    def __post_init__(self) -> None:
        for network in (self.model, *self.encoders.networks):
            network.to(self.device)

    def require_process(self) -> None:
        """See `Engine.require_process`: CUDA does not survive a fork."""
        if os.getpid() != self.process:
            raise AvtError(
                "a forked process cannot use the GPU of its parent; start processes with "
                "multiprocessing.get_context('spawn')."
            )

    def fuse(self, parts: dict[str, ModalityBatch]) -> Fused:
        """See `Engine.fuse`."""
        moved = {name: part.to(self.device) for name, part in parts.items()}
        return self.model.fuse(moved).map(Tensor.cpu)

    def classify(self, utterances: Tensor, turn_mask: Tensor, speaker_change: Tensor) -> Tensor:
        """See `Engine.classify`."""
        moved = (part.to(self.device) for part in (utterances, turn_mask, speaker_change))
        return self.model.classify(*moved).cpu()

    def classify_sentiment(
        self, utterances: Tensor, turn_mask: Tensor, speaker_change: Tensor
    ) -> Tensor | None:
        """See `Engine.classify_sentiment`."""
        moved = (part.to(self.device) for part in (utterances, turn_mask, speaker_change))
        found = self.model.classify_sentiment(*moved)
        return None if found is None else found.cpu()


def on_gpu(engine: TorchEngine) -> DeviceEngine:
    """Move an engine's networks to the GPU.

    Raises:
        AvtError: PyTorch finds no GPU.
    """
    if not torch.cuda.is_available():
        raise AvtError("PyTorch finds no GPU here; use --engine torch instead.")
    return DeviceEngine(engine.encoders, engine.model, torch.device("cuda"))
