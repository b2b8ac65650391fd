"""A checkpoint that reads media: a network with random weights on tiny encoders."""

from __future__ import annotations

from pathlib import Path

import torch
from store_factory import make_config
from tiny_encoders import save_tiny_encoders

from avt_memocmt.config import AudioConfig, EncoderConfig, TextConfig, VisualConfig
from avt_memocmt.models.checkpoint import build_model, save_checkpoint


def save_tiny_network(folder: Path) -> Path:
    """Write it, with its encoders beside it, and return its folder."""
    save_tiny_encoders(folder)
    audio, visual, text = (
        EncoderConfig(name=str(folder / name)) for name in ("audio", "visual", "text")
    )
    config = make_config().model_copy(
        update={
            "audio": AudioConfig(encoder=audio),
            "visual": VisualConfig(encoder=visual, detector="yunet"),
            "text": TextConfig(encoder=text),
        }
    )
    torch.manual_seed(0)
    save_checkpoint(folder / "network", build_model(config), config, {"model": "Tiny"})
    return folder / "network"
