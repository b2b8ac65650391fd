"""The engines that compute the networks; importing this loads none of them."""

from __future__ import annotations

from typing import Literal

EngineName = Literal["torch", "torch-bf16", "torch-cuda", "onnx", "openvino"]
"""Those of PyTorch run a checkpoint, the others what `avt-memocmt export` wrote of one."""
