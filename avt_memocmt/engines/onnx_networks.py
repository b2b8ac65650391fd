"""Exported networks behind the interfaces of the PyTorch ones, for ONNX Runtime and OpenVINO.

What surrounds the networks (resizing, log-mel, tokenizing, padding, the dialogue's past) is the
same code for all engines.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from avt_memocmt.config import MODALITIES, Config
from avt_memocmt.config_file import load_config
from avt_memocmt.data.dialogue_batch import ModalityBatch
from avt_memocmt.engines.network_graphs import DIALOGUE_INPUTS, FUSION_INPUTS
from avt_memocmt.engines.sessions import Graph, OnnxGraph
from avt_memocmt.errors import AvtError
from avt_memocmt.features.extract_audio_features import WhisperAudioEncoder
from avt_memocmt.features.extract_text_features import load_text_tokenizer
from avt_memocmt.features.face_cnn import FaceCNN
from avt_memocmt.features.text_encoder import TextEncoder
from avt_memocmt.features.visual_encoder import VisualEncoder
from avt_memocmt.features.whisper_encoder import (
    MAX_TOKENS,
    N_FFT,
    WhisperTinyEncoder,
    check_length,
    mel_filters,
)
from avt_memocmt.inference.encoding import Encoders
from avt_memocmt.models.avt_memocmt import AvtMemoCmt, Fused
from avt_memocmt.models.checkpoint import CONFIG_FILE, token_shapes
from avt_memocmt.models.confidence import SubsetTemperature
from avt_memocmt.pretrained import file_sha256

MANIFEST_FILE = "manifest.json"
FORMAT = 2
"""Of the folder. 1 had no novelty among the outputs of the fusion, and did not say its format."""
GRAPHS = ("audio_stem", "audio_blocks", "face", "text", "fusion", "dialogue")


class OnnxWhisper(WhisperTinyEncoder):
    """Whisper's encoder whose two networks are graphs; the front end stays in PyTorch."""

    def __init__(self, stem: Graph, blocks: Graph) -> None:
        nn.Module.__init__(self)
        self._stem_graph, self._blocks_graph = stem, blocks
        self.register_buffer("filters", torch.from_numpy(mel_filters()))
        self.register_buffer("window", torch.hann_window(N_FFT))
        self.register_buffer("positions", torch.empty(MAX_TOKENS, 0))
        # Encoders are asked for their device by a parameter.
        self.nothing = nn.Parameter(torch.zeros(0), requires_grad=False)

    def stem(self, mel: Tensor) -> Tensor:
        """See `WhisperTinyEncoder.stem`."""
        check_length(mel)
        return self._stem_graph({"mel": mel})[0]

    def hidden_states(self, stem: Tensor, keys: Tensor | None) -> Tensor:
        """See `WhisperTinyEncoder.hidden_states`."""
        tokens = stem.shape[1]
        if keys is None:
            keys = torch.ones(tokens, tokens, dtype=torch.bool)
        keys = keys.expand(len(stem), 1, tokens, tokens)
        return self._blocks_graph({"stem": stem, "keys": keys})[0]


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
        """Not to be had of a graph.

        Raises:
            AvtError: always.
        """
        raise AvtError("an ONNX graph has no feature maps; use the torch engine.")


class OnnxTextModel(nn.Module):
    """What `TextEncoder` needs of its model, as a graph."""

    def __init__(self, graph: Graph, width: int) -> None:
        super().__init__()
        self._graph = graph
        self.config = SimpleNamespace(hidden_size=width, type_vocab_size=2)
        self.nothing = nn.Parameter(torch.zeros(0), requires_grad=False)

    def forward(self, **inputs: Tensor) -> SimpleNamespace:
        """Ids, mask and types -> an object with `last_hidden_state`."""
        return SimpleNamespace(last_hidden_state=self._graph(inputs)[0])


class OnnxAvtMemoCmt(AvtMemoCmt):
    """The fusion network whose token level and dialogue level are graphs."""

    def __init__(self, config: Config, fusion: Graph, dialogue: Graph) -> None:
        super().__init__(token_shapes(config), config.model)
        # The graphs hold the weights. Under `torch.device("meta")` the constructor would import
        # PyTorch's compiler, which takes more than a second.
        self.to("meta")
        temperatures = config.model.temperatures
        self.temperature = SubsetTemperature(temperatures.decision, temperatures.growth)
        self._fusion, self._dialogue = fusion, dialogue
        self.eval()

    def fuse(self, parts: dict[str, ModalityBatch]) -> Fused:
        """See `AvtMemoCmt.fuse`."""
        tensors = [
            tensor
            for m in MODALITIES
            for tensor in (parts[m].values, parts[m].spans, parts[m].mask)
        ]
        utterances, weights, novelty, *unimodal_logits = self._fusion(
            dict(zip(FUSION_INPUTS, tensors, strict=True))
        )
        return Fused(
            utterances, weights, novelty, dict(zip(MODALITIES, unimodal_logits, strict=True))
        )

    def classify(self, utterances: Tensor, turn_mask: Tensor, speaker_change: Tensor) -> Tensor:
        """See `AvtMemoCmt.classify`."""
        feed = zip(DIALOGUE_INPUTS, (utterances, turn_mask, speaker_change), strict=True)
        return self._dialogue(dict(feed))[0]


@dataclass(frozen=True)
class ExportManifest:
    """What `avt-memocmt export` says of its folder: sums by graph, and the graphs in 8 bits."""

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
) -> tuple[AvtMemoCmt, Config, Encoders]:
    """Load what `avt-memocmt export` wrote.

    Args:
        folder: with `manifest.json`, the graphs and `config.yaml`.
        open_graph: opens one of the files in an engine.

    Raises:
        AvtError: the folder holds no export, a graph is missing or not the one that was written,
            or the engine is not installed.
    """
    sums = read_manifest(folder).sha256
    for name, expected in sums.items():
        graph = folder / f"{name}.onnx"
        if not graph.is_file() or file_sha256(graph) != expected:
            raise AvtError(f"{graph} is missing or was changed; export the checkpoint again.")
    config = load_config(folder / CONFIG_FILE)
    graphs = {name: open_graph(folder / f"{name}.onnx") for name in GRAPHS}
    text = OnnxTextModel(graphs["text"], token_shapes(config)["text"].dim)
    encoders = Encoders(
        WhisperAudioEncoder(OnnxWhisper(graphs["audio_stem"], graphs["audio_blocks"])),
        OnnxFaceEncoder(graphs["face"], {"name": "face-cnn", "sha256": sums["face"]}),
        TextEncoder(text, load_text_tokenizer(config.text), config.text, {"sha256": sums["text"]}),
    )
    return OnnxAvtMemoCmt(config, graphs["fusion"], graphs["dialogue"]), config, encoders
