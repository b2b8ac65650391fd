"""How this package runs a small packaged network in ONNX Runtime."""

from __future__ import annotations

from typing import Any


def small_session(model: bytes) -> Any:
    """An `onnxruntime.InferenceSession` of a network of a few megabytes, on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # The networks are tiny: more threads cost more in hand-over than they gain.
    options.intra_op_num_threads = 1
    # YuNet's outputs keep their stated sizes, of which every run would warn.
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
