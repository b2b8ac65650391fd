"""The engines that compute the networks; importing this loads none of them."""

from __future__ import annotations

from typing import Literal

Engine = Literal["torch", "onnx", "openvino"]
"""torch runs a checkpoint, the others the folder that `avt-memocmt export` wrote of one."""
