"""Export of a checkpoint as a folder of ONNX graphs: encoders, fusion, dialogue."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from avt_memocmt.engines.network_graphs import (
    NetworkGraph,
    audio_graphs,
    dialogue_graph,
    face_graph,
    fusion_graph,
    text_graph,
)
from avt_memocmt.engines.onnx_engine import FORMAT, GRAPHS, MANIFEST_FILE
from avt_memocmt.errors import AvtError
from avt_memocmt.extras import require_extra
from avt_memocmt.features.extract_visual_features import FaceCnnEncoder
from avt_memocmt.features.whisper_encoder import WhisperEncoder
from avt_memocmt.files import writable_folder, write_atomically
from avt_memocmt.inference.engine import TorchEngine, load_torch
from avt_memocmt.models.checkpoint import CONFIG_FILE, checkpoint_folder
from avt_memocmt.pretrained import file_sha256
from avt_memocmt.version import __version__

QUANTIZED = ("audio_blocks", "fusion", "dialogue")
"""Graphs that decide alike after dynamic quantisation; see the figures in docs/engines.md."""


def export_checkpoint(
    checkpoint: str | Path,
    folder: Path,
    quantize: bool = False,
    progress: Callable[[str], None] = lambda name: None,
) -> None:
    """Write every network of a checkpoint as an ONNX graph, with a manifest.

    Args:
        checkpoint: name or folder, of the embedded preset.
        folder: created where it is missing.
        quantize: see `quantize_export`.
        progress: called with the name of each graph before it is written.

    Raises:
        AvtError: the extra `onnx` is not installed, the checkpoint's encoders are not those of the
            embedded preset, or the folder cannot be written.
    """
    require_extra("onnx", ("onnx", "onnxscript"), "the export needs")
    writable_folder(folder)
    source = checkpoint_folder(checkpoint)
    engine, _ = load_torch(source)
    for name, graph in _graphs(engine, checkpoint).items():
        progress(name)
        graph.write(folder / f"{name}.onnx")
    shutil.copyfile(source / CONFIG_FILE, folder / CONFIG_FILE)
    _write_manifest(folder, str(checkpoint), ())
    if quantize:
        quantize_export(folder, progress)


def _graphs(engine: TorchEngine, checkpoint: str | Path) -> dict[str, NetworkGraph]:
    """The networks in the order of `GRAPHS`."""
    audio, visual, text = engine.encoders.audio, engine.encoders.visual, engine.encoders.text
    if not isinstance(audio, WhisperEncoder) or not isinstance(visual, FaceCnnEncoder):
        raise AvtError(f"{checkpoint} is not of the embedded preset, which alone can be exported.")
    assert text is not None
    graphs = (
        *audio_graphs(audio),
        face_graph(visual),
        text_graph(text),
        fusion_graph(engine.model),
        dialogue_graph(engine.model),
    )
    return dict(zip(GRAPHS, graphs, strict=True))


def quantize_export(folder: Path, progress: Callable[[str], None] = lambda name: None) -> None:
    """Make the linear layers of the graphs in `QUANTIZED` 8-bit (dynamic quantisation).

    Args:
        folder: from `export_checkpoint`; its graphs are replaced.
        progress: called with the name of each graph before it is written.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    for name in QUANTIZED:
        progress(f"{name}, quantised")
        path = folder / f"{name}.onnx"
        partial = path.with_suffix(".int8")
        quantize_dynamic(
            path,
            partial,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=["MatMul"],
            nodes_to_quantize=_quantizable(path) if name == "audio_blocks" else None,
        )
        partial.replace(path)
    manifest = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
    _write_manifest(folder, manifest["checkpoint"], QUANTIZED)


def _quantizable(path: Path) -> list[str]:
    """Names of the matrix products whose input is not the output of a GELU.

    The long tail of a GELU takes most of the range of eight bits, which changed decisions.
    """
    import onnx

    graph = onnx.load(path).graph
    made_by = {output: node.op_type for node in graph.node for output in node.output}
    return [
        node.name
        for node in graph.node
        if node.op_type == "MatMul" and made_by.get(node.input[0]) != "Gelu"
    ]


def _write_manifest(folder: Path, checkpoint: str, quantized: Sequence[str]) -> None:
    paths = {name: folder / f"{name}.onnx" for name in GRAPHS}
    manifest = {
        "format": FORMAT,
        "version": __version__,
        "checkpoint": checkpoint,
        "quantized": list(quantized),
        "graphs": {
            name: {"sha256": file_sha256(path), "bytes": path.stat().st_size}
            for name, path in paths.items()
        },
    }
    write_atomically(folder / MANIFEST_FILE, json.dumps(manifest, indent=2).encode())
