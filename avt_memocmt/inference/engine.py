"""The interface of what computes a checkpoint's networks, and the one of plain PyTorch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from avt_memocmt.config import Config
from avt_memocmt.data.dialogue_batch import ModalityBatch
from avt_memocmt.errors import AvtError
from avt_memocmt.inference.encoding import Encoders, load_encoders
from avt_memocmt.models.avt_memocmt import AvtMemoCmt, Fused
from avt_memocmt.models.checkpoint import load_media_model


@dataclass
class Engine(ABC):
    """Computes the networks of a checkpoint in three steps: encode, fuse, classify.

    Tensors that go in and come out are float32 in main memory, wherever the engine computes.

    Attributes:
        encoders: of the modalities that the checkpoint reads.
    """

    encoders: Encoders

    def require_process(self) -> None:  # noqa: B027 - most engines compute in every process
        """Refuse a process in which the engine cannot compute.

        Raises:
            AvtError: this process was forked, and the engine's device does not follow.
        """

    @abstractmethod
    def fuse(self, parts: dict[str, ModalityBatch]) -> Fused:
        """Token level; see `AvtMemoCmt.fuse`."""

    @abstractmethod
    def classify(self, utterances: Tensor, turn_mask: Tensor, speaker_change: Tensor) -> Tensor:
        """Dialogue level; see `AvtMemoCmt.classify`."""

    def classify_sentiment(
        self, utterances: Tensor, turn_mask: Tensor, speaker_change: Tensor
    ) -> Tensor | None:
        """See `AvtMemoCmt.classify_sentiment`; None also from an engine that lacks the head."""
        return None


@dataclass
class TorchEngine(Engine):
    """PyTorch on the processor in single precision; the one engine that yields gradients.

    Attributes:
        model: the fusion network.
    """

    model: AvtMemoCmt

    def fuse(self, parts: dict[str, ModalityBatch]) -> Fused:
        """See `Engine.fuse`."""
        return self.model.fuse(parts)

    def classify(self, utterances: Tensor, turn_mask: Tensor, speaker_change: Tensor) -> Tensor:
        """See `Engine.classify`."""
        return self.model.classify(utterances, turn_mask, speaker_change)

    def classify_sentiment(
        self, utterances: Tensor, turn_mask: Tensor, speaker_change: Tensor
    ) -> Tensor | None:
        """See `Engine.classify_sentiment`."""
        return self.model.classify_sentiment(utterances, turn_mask, speaker_change)


def load_torch(folder: Path) -> tuple[TorchEngine, Config]:
    """Load a checkpoint folder and the encoders that it was trained with.

    Raises:
        AvtError: as of `load_media_model` and `load_encoders`.
    """
    model, config = load_media_model(folder)
    return TorchEngine(load_encoders(config, folder, model.modalities), model), config


def with_gradients(engine: Engine) -> TorchEngine:
    """Return an engine that yields gradients, or refuse it.

    Raises:
        AvtError: the engine is not `TorchEngine`.
    """
    if not isinstance(engine, TorchEngine):
        raise AvtError(
            "explanations need gradients in full precision, which this engine lacks; use the "
            "torch engine."
        )
    return engine
