"""The paper's encoders and fusion with random weights: fp32 eager against faster engines.

The networks have their real sizes (HuBERT-base, ResNet-50, BERT-base, the fusion of config.yaml).
Speed depends on the sizes alone; the probabilities mean nothing.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from timeit import timeit
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avt_memocmt.bench.case import Case, Goal, Setting, not_measured
from avt_memocmt.config import ModelConfig, TokenShape
from avt_memocmt.data.dialogue_batch import SPEAKER_UNKNOWN, ModalityBatch
from avt_memocmt.engines.network_graphs import NetworkGraph
from avt_memocmt.engines.sessions import Graph, OnnxGraph, OpenVinoGraph
from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.models.avt_memocmt import AvtMemoCmt

PAPER = Goal(4.5, 6, at_least=True)
GPU = Goal(10, 5)
SECONDS, PICTURES, SIDE, WORDS = 3, 8, 224, 16
INPUTS = ("sound", "pictures", "words")
WHAT = f"paper encoders and fusion, {SECONDS} s, {PICTURES} pictures, {WORDS} words, random weights"

Candidate = Callable[[], NDArray[np.float32]]
"""Computes the probabilities [1, 7] of the one input."""


class PaperNetwork(nn.Module):
    """Waveform, pictures and word pieces of one utterance in, probabilities out.

    Args:
        attention: as `transformers` names its kinds, "eager" or "sdpa".
    """

    def __init__(self, attention: str) -> None:
        import transformers as hf

        super().__init__()
        torch.manual_seed(0)
        kind: Any = {"attn_implementation": attention}
        self.audio = hf.HubertModel(hf.HubertConfig(**kind))
        self.visual = hf.ResNetModel(hf.ResNetConfig())
        self.text = hf.BertModel(hf.BertConfig(**kind))
        shapes = {"audio": TokenShape(768), "visual": TokenShape(2048), "text": TokenShape(768)}
        self.fusion = AvtMemoCmt(shapes, ModelConfig())
        self.eval()

    def forward(self, sound: Tensor, pictures: Tensor, words: Tensor) -> Tensor:
        """[1, samples], [n, 3, side, side] and int64 [1, pieces] -> [1, 7]."""
        faces = self.visual(pictures).last_hidden_state.mean(dim=(2, 3))[None]
        heard, read = self.audio(sound).last_hidden_state, self.text(words).last_hidden_state
        tokens = {"audio": heard, "visual": faces, "text": read}
        fused = self.fusion.fuse({name: _part(values) for name, values in tokens.items()})
        changes = torch.full((1, 1), SPEAKER_UNKNOWN, device=sound.device)
        turn = torch.ones_like(changes, dtype=torch.bool)
        correction = self.fusion.classify(fused.utterances[:, None], turn, changes)[:, 0]
        return fused.logits(correction).softmax(dim=1)


def _part(values: Tensor) -> ModalityBatch:
    """Give tokens [1, n, dim] time spans that divide the utterance evenly."""
    edges = torch.linspace(0, SECONDS, values.shape[1] + 1, device=values.device)
    spans = torch.stack([edges[:-1], edges[1:]], dim=1)[None]
    everyone = torch.ones(values.shape[:2], dtype=torch.bool, device=values.device)
    return ModalityBatch.of_tokens(values, spans, everyone)


def paper_inputs() -> tuple[Tensor, Tensor, Tensor]:
    """Return noise in the shapes of the three inputs."""
    generator = torch.Generator().manual_seed(0)
    sound = torch.randn(1, SECONDS * SAMPLE_RATE, generator=generator)
    pictures = torch.randn(PICTURES, 3, SIDE, SIDE, generator=generator)
    words = torch.randint(1000, 20_000, (1, WORDS + 2), generator=generator)
    return sound, pictures, words


@torch.no_grad()
def paper_case(runs: int) -> Case:
    """Compare the fastest engine at hand with fp32 eager, measured in turns."""
    inputs = paper_inputs()
    eager, fast = PaperNetwork("eager"), PaperNetwork("sdpa")
    pictures: Any = fast.visual
    pictures.to(memory_format=torch.channels_last)
    candidates: dict[str, Candidate] = {
        "torch eager": lambda: eager(*inputs).numpy(),
        "torch fused": lambda: fast(*inputs).numpy(),
    }
    with tempfile.TemporaryDirectory() as folder:
        candidates |= _exported(fast, inputs, Path(folder))
        seconds = _in_turns(candidates, runs)
        best = min(seconds, key=seconds.__getitem__)
        difference = abs(candidates[best]() - candidates["torch eager"]()).max()
    slow, quick = seconds["torch eager"], seconds[best]
    return Case(
        "paper",
        f"{WHAT}: {best} against fp32 eager",
        slow / quick,
        "x",
        PAPER,
        Setting(torch.get_num_threads(), "int8" if "int8" in best else "float32", best.split()[0]),
        note=f"fp32 eager {1000 * slow:.0f} ms, {best} {1000 * quick:.0f} ms; its probabilities "
        f"differ by {difference:.1g} at most",
        more={f"{name}, ms": 1000 * value for name, value in seconds.items()},
    )


@torch.no_grad()
def gpu_case(runs: int) -> Case:
    """Measure the same network on a GPU, in bfloat16."""
    what = f"{WHAT}: on a GPU"
    if not torch.cuda.is_available():
        return not_measured("paper on GPU", what, "ms", GPU, "PyTorch finds no GPU here")
    replay = _cuda_graph(PaperNetwork("sdpa").cuda(), paper_inputs())
    seconds = _in_turns({"gpu": replay}, runs)["gpu"]
    setting = Setting(torch.get_num_threads(), "bfloat16", "torch", torch.cuda.get_device_name())
    return Case("paper on GPU", what, 1000 * seconds, "ms", GPU, setting)


def _cuda_graph(network: PaperNetwork, inputs: tuple[Tensor, ...]) -> Candidate:
    """Capture the network in a CUDA graph; a call copies the inputs to the GPU and replays it."""
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


def _in_turns(candidates: dict[str, Candidate], runs: int) -> dict[str, float]:
    """Return the median seconds of each candidate after a warm-up, one run of each in turn."""
    for candidate in candidates.values():
        candidate()
    times = [{name: timeit(run, number=1) for name, run in candidates.items()} for _ in range(runs)]
    return {name: statistics.median(turn[name] for turn in times) for name in candidates}


def _exported(
    network: PaperNetwork, inputs: tuple[Tensor, ...], folder: Path
) -> dict[str, Candidate]:
    """Open the exported graph and its 8-bit form in ONNX Runtime and OpenVINO, where installed.

    OpenVINO runs the graph that is not in 8 bits at the precision that it prefers on the processor.
    """
    if any(find_spec(name) is None for name in ("onnx", "onnxscript")):
        return {}
    exact, small = folder / "paper.onnx", folder / "paper-int8.onnx"
    feed = dict(zip(INPUTS, inputs, strict=True))
    fixed = {name: (tensor, ()) for name, tensor in feed.items()}
    NetworkGraph(network, network, fixed, ("probabilities",)).write(exact)
    _quantize(exact, small, {name: value.numpy() for name, value in feed.items()})
    graphs: dict[str, Graph] = {"onnx fp32": OnnxGraph(exact), "onnx int8": OnnxGraph(small)}
    if find_spec("openvino") is not None:
        graphs |= {"openvino": OpenVinoGraph(exact), "openvino int8": OpenVinoGraph(small)}
    return {name: partial(_run, graph, feed) for name, graph in graphs.items()}


def _run(graph: Graph, feed: dict[str, Tensor]) -> NDArray[np.float32]:
    return graph(feed)[0].numpy()


def _quantize(source: Path, target: Path, feed: dict[str, NDArray[Any]]) -> None:
    """Make weights and activations of convolutions and matrix products 8-bit integers (static)."""
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class OneInput(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = [feed]

        def get_next(self) -> dict[str, NDArray[Any]] | None:
            return self.left.pop() if self.left else None

    ready = source.with_suffix(".ready.onnx")
    quant_pre_process(source, ready, skip_symbolic_shape=True)
    quantization.quantize_static(
        ready,
        target,
        OneInput(),
        quant_format=quantization.QuantFormat.QDQ,
        op_types_to_quantize=["Conv", "MatMul", "Gemm"],
        per_channel=True,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
    )
