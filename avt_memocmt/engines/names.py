"""Names of the engines; importing this loads none of them."""

from __future__ import annotations

from typing import Literal

EngineName = Literal["torch", "torch-bf16", "torch-cuda", "onnx", "openvino"]
"""PyTorch's run a checkpoint, the others a folder that `avt-memocmt export` wrote."""
