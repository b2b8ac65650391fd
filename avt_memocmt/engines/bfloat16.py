"""PyTorch's networks in bfloat16, on processors that have units for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn

from avt_memocmt.errors import AvtError
from avt_memocmt.features.extract_audio_features import HubAudioEncoder, WhisperAudioEncoder
from avt_memocmt.inference.encoding import Encoders
from avt_memocmt.models.avt_memocmt import AvtMemoCmt, Fused

UNITS = ("avx512_bf16", "amx_bf16", "bf16")
"""What PyTorch calls such units: of AVX-512, of AMX, of ARM."""


def has_units() -> bool:
    """Whether this processor computes faster in bfloat16."""
    found = torch.cpu.get_capabilities()
    return any(found.get(unit) for unit in UNITS)


def use_bfloat16(model: AvtMemoCmt, encoders: Encoders) -> None:
    """Let the networks compute in bfloat16 from now on; what they give stays float32.

    Linear layers keep their weights in bfloat16: cast anew at each call, that costs as much as is
    gained. The spectrogram and Whisper's convolutions, which are quick, stay in float32.

    Raises:
        AvtError: the processor has no such units, and would be slower for it.
    """
    if not has_units():
        raise AvtError("this processor has no units for bfloat16; use --engine torch instead.")
    calls: list[tuple[nn.Module | None, str]] = [
        (encoders.visual, "forward"),
        (None if encoders.text is None else encoders.text.model, "forward"),
        (model, "fuse"),
        (model, "classify"),
    ]
    if isinstance(encoders.audio, WhisperAudioEncoder):
        calls.append((encoders.audio.encoder, "hidden_states"))
    elif isinstance(encoders.audio, HubAudioEncoder):
        calls.append((encoders.audio.model, "forward"))
    for network, name in calls:
        if network is None:
            continue
        for module in network.modules():
            if isinstance(module, nn.Linear):
                module.to(torch.bfloat16)
        setattr(network, name, _in_bfloat16(getattr(network, name)))


def _in_bfloat16(call: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(call)
    def run(*args: Any, **kwargs: Any) -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            return _in_single_precision(call(*args, **kwargs))

    return run


def _in_single_precision(found: Any) -> Any:
    if isinstance(found, Tensor):
        return found.float()
    if isinstance(found, Fused):
        return found.map(Tensor.float)
    found.last_hidden_state = found.last_hidden_state.float()
    return found
