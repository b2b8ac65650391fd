"""The engine of exported networks, for ONNX Runtime and OpenVINO.

Only the networks are graphs; resizing, log-mel, tokenizing, padding and the dialogue's past are the
same code for all engines.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor

from avt_memocmt.config import MODALITIES, Config
from avt_memocmt.config_file import load_config
from avt_memocmt.data.dialogue_batch import ModalityBatch
from avt_memocmt.engines.network_graphs import DIALOGUE_INPUTS, FUSION_INPUTS
from avt_memocmt.engines.sessions import Graph, OnnxGraph
from avt_memocmt.errors import AvtError
from avt_memocmt.features.extract_text_features import load_text_tokenizer
from avt_memocmt.features.face_cnn import FaceCNN
from avt_memocmt.features.text_encoder import TextEncoder
from avt_memocmt.features.visual_encoder import VisualEncoder
from avt_memocmt.features.whisper_encoder import WhisperEncoder
from avt_memocmt.inference.encoding import Encoders
from avt_memocmt.inference.engine import Engine
from avt_memocmt.models.avt_memocmt import Fused
from avt_memocmt.models.checkpoint import CONFIG_FILE, token_shapes
from avt_memocmt.pretrained import file_sha256

MANIFEST_FILE = "manifest.json"
FORMAT = 4
"""Of the folder: 1 lacked the novelty of a turn, 2 left its temperature to the configuration, 3 had
neither baselines of speakers nor a pool of the modalities' decisions.
"""
GRAPHS = ("audio_stem", "audio_blocks", "face", "text", "fusion", "dialogue")


@dataclass
class OnnxEngine(Engine):
    """ONNX Runtime or OpenVINO; the encoders are graphs too, see `load_onnx`.

    Attributes:
        fusion: graph of `AvtMemoCmt.fuse`.
        dialogue: graph of `AvtMemoCmt.classify`.
    """

    fusion: Graph
    dialogue: Graph

    def fuse(self, parts: dict[str, ModalityBatch]) -> Fused:
        """See `Engine.fuse`."""
        ordered = [parts[m] for m in MODALITIES]
        tensors = [getattr(part, x.name) for part in ordered for x in fields(ModalityBatch)]
        utterances, pooled, corrected, weights, temperature, *unimodal_logits = self.fusion(
            dict(zip(FUSION_INPUTS, tensors, strict=True))
        )
        by_modality = dict(zip(MODALITIES, unimodal_logits, strict=True))
        return Fused(utterances, pooled, corrected, weights, temperature, by_modality)

    def classify(self, utterances: Tensor, turn_mask: Tensor, speaker_change: Tensor) -> Tensor:
        """See `Engine.classify`."""
        tensors = (utterances, turn_mask, speaker_change)
        return self.dialogue(dict(zip(DIALOGUE_INPUTS, tensors, strict=True)))[0]


class OnnxWhisper(WhisperEncoder):
    """Whisper's encoder whose two networks are graphs; the front end stays in PyTorch."""

    def __init__(self, stem: Graph, blocks: Graph) -> None:
        super().__init__()
        self._stem, self._blocks = stem, blocks

    def stem(self, mel: Tensor) -> Tensor:
        """See `WhisperEncoder.stem`."""
        return self._stem({"mel": mel})[0]

    def hidden_states(self, stem: Tensor, keys: Tensor | None) -> Tensor:
        """See `WhisperEncoder.hidden_states`."""
        tokens = stem.shape[1]
        if keys is None:
            keys = torch.ones(tokens, tokens, dtype=torch.bool)
        keys = keys.expand(len(stem), 1, tokens, tokens)
        return self._blocks({"stem": stem, "keys": keys})[0]


class OnnxFaceEncoder(VisualEncoder):
    """The face encoder as a graph."""

    def __init__(self, graph: Graph, identity: dict[str, str]) -> None:
        super().__init__(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
        self._graph = graph
        self.identity = identity
        self.dim, self.side = FaceCNN.DIM, FaceCNN.INPUT

    def forward(self, pixels: Tensor) -> Tensor:
        """See `VisualEncoder.forward`."""
        if not len(pixels):
            return pixels.new_zeros(0, self.dim)
        return self._graph({"pixels": pixels})[0]

    def feature_map(self, pixels: Tensor) -> Tensor:
        """A graph has no feature maps.

        Raises:
            AvtError: always.
        """
        raise AvtError("an ONNX graph has no feature maps; use the torch engine.")


class OnnxTextModel:
    """A graph with the part of a `transformers` model's interface that `TextEncoder` uses."""

    def __init__(self, graph: Graph, width: int) -> None:
        self._graph = graph
        self.config = SimpleNamespace(hidden_size=width, type_vocab_size=2)

    def __call__(self, **inputs: Tensor) -> SimpleNamespace:
        """Ids, mask and types -> an object with `last_hidden_state`."""
        return SimpleNamespace(last_hidden_state=self._graph(inputs)[0])


class OnnxTextEncoder(TextEncoder):
    """The text encoder around an `OnnxTextModel`."""

    @property
    def device(self) -> torch.device:
        """See `TextEncoder.device`: a graph takes its inputs from main memory."""
        return torch.device("cpu")


@dataclass(frozen=True)
class ExportManifest:
    """What `avt-memocmt export` wrote: SHA-256 by graph, and the graphs quantised to 8 bits."""

    sha256: dict[str, str]
    quantized: tuple[str, ...]


def read_manifest(folder: Path) -> ExportManifest:
    """Read the manifest of an exported checkpoint.

    Raises:
        AvtError: the folder holds none, or one of another version of this program.
    """
    try:
        manifest = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
        if manifest.get("format", 1) != FORMAT:
            raise AvtError(
                f"{folder} was exported by another version of avt-memocmt; export the checkpoint "
                "again with: avt-memocmt export --out DIR"
            )
        sums = {name: str(manifest["graphs"][name]["sha256"]) for name in GRAPHS}
        return ExportManifest(sums, tuple(manifest["quantized"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise AvtError(
            f"{folder} holds no exported checkpoint; make one with: avt-memocmt export --out DIR"
        ) from error


def load_onnx(
    folder: Path, open_graph: Callable[[Path], Graph] = OnnxGraph
) -> tuple[OnnxEngine, Config]:
    """Load what `avt-memocmt export` wrote.

    Args:
        folder: with `manifest.json`, the graphs and `config.yaml`.
        open_graph: opens a graph's file; chooses ONNX Runtime or OpenVINO.

    Raises:
        AvtError: the folder holds no export, a graph is missing or not the one that was written,
            or the engine is not installed.
    """
    sums = read_manifest(folder).sha256
    for name, expected in sums.items():
        path = folder / f"{name}.onnx"
        if not path.is_file() or file_sha256(path) != expected:
            raise AvtError(f"{path} is missing or was changed; export the checkpoint again.")
    config = load_config(folder / CONFIG_FILE)
    graphs = {name: open_graph(folder / f"{name}.onnx") for name in GRAPHS}
    model = OnnxTextModel(graphs["text"], token_shapes(config)["text"].dim)
    tokenizer = load_text_tokenizer(config.text)
    encoders = Encoders(
        OnnxWhisper(graphs["audio_stem"], graphs["audio_blocks"]),
        OnnxFaceEncoder(graphs["face"], {"name": "face-cnn", "sha256": sums["face"]}),
        OnnxTextEncoder(model, tokenizer, config.text, {"sha256": sums["text"]}),
    )
    return OnnxEngine(encoders, graphs["fusion"], graphs["dialogue"]), config
