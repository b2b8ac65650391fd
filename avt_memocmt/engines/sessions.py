"""Runs exported networks in ONNX Runtime or OpenVINO, on as many threads as PyTorch uses.

`torch.set_num_threads` and `OMP_NUM_THREADS` set that number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avt_memocmt.extras import require_extra
from avt_memocmt.forking import PerProcess


class Graph(Protocol):
    """One exported network; may be called from several threads."""

    def __call__(self, feed: Mapping[str, Tensor]) -> list[Tensor]:
        """Compute all outputs, in the graph's order, from all inputs by name."""


class OnnxGraph:
    """A network in ONNX Runtime.

    Args:
        path: the .onnx file.
    """

    def __init__(self, path: Path) -> None:
        self._session = PerProcess(partial(_onnx_session, path))

    def __call__(self, feed: Mapping[str, Tensor]) -> list[Tensor]:
        """See `Graph`."""
        return [torch.from_numpy(found) for found in self._session.get().run(None, _arrays(feed))]


class OpenVinoGraph:
    """A network in OpenVINO, on the CPU.

    Args:
        path: the .onnx file.
        precision: "f32" or "bf16"; None = bf16 where the processor has instructions for it.

    Raises:
        AvtError: the extra `openvino` is not installed.
    """

    def __init__(self, path: Path, precision: str | None = None) -> None:
        require_extra("openvino", ("openvino",), "this engine needs")
        self._network = PerProcess(partial(_openvino_network, path, precision))

    def __call__(self, feed: Mapping[str, Tensor]) -> list[Tensor]:
        """See `Graph`."""
        # Each call makes its own request, because a request serves one thread at a time.
        network = self._network.get()
        found = network.create_infer_request().infer(_arrays(feed))
        return [torch.from_numpy(found[output]) for output in network.outputs]


GRAPH_TYPES: dict[str, Callable[[Path], Graph]] = {"onnx": OnnxGraph, "openvino": OpenVinoGraph}
"""By the name of the engine."""


def _onnx_session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Threads that spin while they wait keep the cores from the next network and from PyTorch.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _openvino_network(path: Path, precision: str | None) -> Any:
    import openvino

    settings: dict[str, Any] = {"INFERENCE_NUM_THREADS": torch.get_num_threads()}
    if precision is not None:
        settings["INFERENCE_PRECISION_HINT"] = precision
    return openvino.Core().compile_model(str(path), "CPU", settings)


def _arrays(feed: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    return {name: np.ascontiguousarray(value.numpy()) for name, value in feed.items()}
