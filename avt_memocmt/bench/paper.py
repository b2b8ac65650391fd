"""The paper's encoders and fusion with random weights: fp32 eager against faster engines.

The networks have their real sizes (HuBERT-base, ResNet-50, BERT-base, the fusion of config.yaml),
which is all that speed depends on; what they say means nothing.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avt_memocmt.bench.case import Case, Goal, Setting, not_measured
from avt_memocmt.config import ModelConfig, TokenShape
from avt_memocmt.data.dialogue_batch import SPEAKER_UNKNOWN, ModalityBatch
from avt_memocmt.engines.network_graphs import NetworkGraph
from avt_memocmt.engines.sessions import OpenVinoGraph
from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.models.avt_memocmt import AvtMemoCmt

PAPER = Goal(4.5, 6, at_least=True)
GPU = Goal(10, 5)
SECONDS, PICTURES, SIDE, WORDS = 3, 8, 224, 16
INPUTS = ("sound", "pictures", "words")
WHAT = f"paper encoders and fusion, {SECONDS} s, {PICTURES} pictures, {WORDS} words, random weights"

Engine = Callable[[], NDArray[np.float32]]
"""Computes the probabilities [1, 7] of the one input."""


class PaperNetwork(nn.Module):
    """Waveform, pictures and word pieces of one utterance in, probabilities out.

    Args:
        attention: as `transformers` names its kinds, "eager" or "sdpa".
    """

    def __init__(self, attention: str) -> None:
        from transformers import (
            BertConfig,
            BertModel,
            HubertConfig,
            HubertModel,
            ResNetConfig,
            ResNetModel,
        )

        super().__init__()
        torch.manual_seed(0)
        kind: Any = {"attn_implementation": attention}
        self.audio = HubertModel(HubertConfig(**kind))
        self.visual = ResNetModel(ResNetConfig())
        self.text = BertModel(BertConfig(**kind))
        shapes = {"audio": TokenShape(768), "visual": TokenShape(2048), "text": TokenShape(768)}
        self.fusion = AvtMemoCmt(shapes, ModelConfig())
        self.eval()

    def forward(self, sound: Tensor, pictures: Tensor, words: Tensor) -> Tensor:
        """[1, samples], [n, 3, side, side] and int64 [1, pieces] -> [1, 7]."""
        faces = self.visual(pictures).last_hidden_state.mean(dim=(2, 3))[None]
        tokens = {
            "audio": self.audio(sound).last_hidden_state,
            "visual": faces,
            "text": self.text(words).last_hidden_state,
        }
        fused = self.fusion.fuse({name: _part(values) for name, values in tokens.items()})
        changes = torch.full((1, 1), SPEAKER_UNKNOWN, device=sound.device)
        turn = torch.ones_like(changes, dtype=torch.bool)
        return self.fusion.classify(fused.utterances[:, None], turn, changes)[:, 0].softmax(dim=1)


def _part(values: Tensor) -> ModalityBatch:
    """Tokens [1, n, dim] spread evenly over the utterance."""
    edges = torch.linspace(0, SECONDS, values.shape[1] + 1, device=values.device)
    spans = torch.stack([edges[:-1], edges[1:]], dim=1)[None]
    everyone = torch.ones(values.shape[:2], dtype=torch.bool, device=values.device)
    return ModalityBatch(values, spans, everyone)


def paper_inputs() -> tuple[Tensor, Tensor, Tensor]:
    """Noise of the right shapes."""
    generator = torch.Generator().manual_seed(0)
    sound = torch.randn(1, SECONDS * SAMPLE_RATE, generator=generator)
    pictures = torch.randn(PICTURES, 3, SIDE, SIDE, generator=generator)
    words = torch.randint(1000, 20_000, (1, WORDS + 2), generator=generator)
    return sound, pictures, words


@torch.no_grad()
def paper_case(runs: int) -> Case:
    """The fastest engine at hand against fp32 eager, both measured in turns."""
    inputs = paper_inputs()
    eager, fast = PaperNetwork("eager"), PaperNetwork("sdpa")
    pictures: Any = fast.visual
    pictures.to(memory_format=torch.channels_last)
    engines: dict[str, Engine] = {
        "torch eager": lambda: eager(*inputs).numpy(),
        "torch fused": lambda: fast(*inputs).numpy(),
    }
    threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        engines |= _exported_engines(fast, inputs, Path(folder), threads)
        expected = engines["torch eager"]()
        differences = {
            name: float(abs(engine() - expected).max()) for name, engine in engines.items()
        }
        seconds = _in_turns(engines, runs)
    best = min(seconds, key=lambda name: seconds[name])
    return Case(
        "paper",
        f"{WHAT}: {best} against fp32 eager",
        seconds["torch eager"] / seconds[best],
        "x",
        PAPER,
        Setting(threads, "int8" if "int8" in best else "float32", best.split()[0]),
        note=f"fp32 eager {1000 * seconds['torch eager']:.0f} ms, {best} "
        f"{1000 * seconds[best]:.0f} ms; its probabilities differ by "
        f"{differences[best]:.1g} at most",
        more={f"{name}, ms": 1000 * value for name, value in seconds.items()},
    )


@torch.no_grad()
def gpu_case(runs: int) -> Case:
    """The same network on a GPU, in bfloat16."""
    what = f"{WHAT}: on a GPU"
    if not torch.cuda.is_available():
        return not_measured("paper on GPU", what, "ms", GPU, "PyTorch finds no GPU here")
    engine = _cuda_graph(PaperNetwork("sdpa").cuda(), paper_inputs())
    seconds = _in_turns({"gpu": engine}, runs)["gpu"]
    setting = Setting(torch.get_num_threads(), "bfloat16", "torch", torch.cuda.get_device_name())
    return Case("paper on GPU", what, 1000 * seconds, "ms", GPU, setting)


def _cuda_graph(network: PaperNetwork, inputs: tuple[Tensor, ...]) -> Engine:
    """One utterance, from the processor to the GPU and back, its kernels started by one call."""
    places = [tensor.cuda() for tensor in inputs]

    def forward() -> Tensor:
        # Weights that autocast keeps from call to call do not survive the capture.
        with torch.autocast("cuda", torch.bfloat16, cache_enabled=False):
            return network(*places).float()

    # Libraries choose their kernels and workspaces in their first calls, which no graph may hold.
    beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _ in range(3):
            forward()
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = forward()

    def run() -> NDArray[np.float32]:
        for place, tensor in zip(places, inputs, strict=True):
            place.copy_(tensor)
        graph.replay()
        return np.asarray(found.cpu())

    return run


def _in_turns(engines: dict[str, Engine], runs: int) -> dict[str, float]:
    """Median seconds of each engine after a warm-up; one run of each after the other."""
    times: dict[str, list[float]] = {name: [] for name in engines}
    for engine in engines.values():
        engine()
    for _ in range(runs):
        for name, engine in engines.items():
            began = time.perf_counter()
            engine()
            times[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in times.items()}


def _exported_engines(
    network: PaperNetwork, inputs: tuple[Tensor, ...], folder: Path, threads: int
) -> dict[str, Engine]:
    """ONNX Runtime and OpenVINO, each on the graph as it is and with 8-bit integers.

    Nothing where the exporter is not installed; no OpenVINO where that is not. As it is means, for
    OpenVINO, the precision that it takes on the processor.
    """
    if any(find_spec(name) is None for name in ("onnx", "onnxscript")):
        return {}
    exact, small = folder / "paper.onnx", folder / "paper-int8.onnx"
    fixed = {name: (tensor, ()) for name, tensor in zip(INPUTS, inputs, strict=True)}
    NetworkGraph(network, network, fixed, ("probabilities",)).write(exact)
    feed = {name: value.numpy() for name, value in zip(INPUTS, inputs, strict=True)}
    _quantize(exact, small, feed)
    engines = {
        "onnx fp32": _session(exact, feed, threads),
        "onnx int8": _session(small, feed, threads),
    }
    if find_spec("openvino") is not None:
        engines |= {
            "openvino": _openvino(exact, inputs),
            "openvino int8": _openvino(small, inputs),
        }
    return engines


def _openvino(path: Path, inputs: tuple[Tensor, ...]) -> Engine:
    graph = OpenVinoGraph(path)
    feed = dict(zip(INPUTS, inputs, strict=True))
    return lambda: graph(feed)[0].numpy()


def _session(path: Path, feed: dict[str, NDArray[Any]], threads: int) -> Engine:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda: np.asarray(session.run(None, feed)[0])


def _quantize(source: Path, target: Path, feed: dict[str, NDArray[Any]]) -> None:
    """Weights and activations of convolutions and matrix products as 8-bit integers (static)."""
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class OneInput(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = [feed]

        def get_next(self) -> dict[str, NDArray[Any]] | None:
            return self.left.pop() if self.left else None

    ready = source.with_suffix(".ready.onnx")
    quant_pre_process(source, ready, skip_symbolic_shape=True)
    quantize_static(
        ready,
        target,
        OneInput(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv", "MatMul", "Gemm"],
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
