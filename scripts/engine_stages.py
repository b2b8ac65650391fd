"""Milliseconds of each network of the chain under each engine, on one utterance of 3 s.

    python scripts/engine_stages.py FOLDER... [--threads N] [--repeats N] [--bf16]

Each FOLDER is one that `avt-memocmt export` wrote. Prints wall time (median, p95) and processor
time (median), which alone can be compared on a busy machine. --bf16 adds the engine torch-bf16.
"""

from __future__ import annotations

import argparse
import importlib.util
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from avt_memocmt import EmotionRecognizer
from avt_memocmt.data.dialogue_batch import TurnFeatures, collate
from avt_memocmt.engines.names import EngineName
from avt_memocmt.features.base import Tokens

WARM_UP = 3
SECONDS = 3
FACES = 12
WORD_PIECES = 40
PAST_TURNS = 16

Stages = dict[str, Callable[[], object]]


def stages(recognizer: EmotionRecognizer) -> Stages:
    """The networks by name, each on its input for one utterance."""
    generator = torch.Generator().manual_seed(0)
    engine = recognizer.engine
    encoders = engine.encoders
    whisper = encoders.audio
    mel = torch.randn(1, 80, 100 * SECONDS, generator=generator)
    stem = torch.randn(1, 50 * SECONDS, whisper.dim, generator=generator)
    pixels = torch.rand(FACES, 3, encoders.visual.side, encoders.visual.side, generator=generator)
    ids = torch.randint(1000, 20_000, (1, WORD_PIECES), generator=generator)
    text = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "token_type_ids": torch.zeros_like(ids),
    }
    counts = {"audio": 50 * SECONDS, "visual": FACES, "text": WORD_PIECES}
    tokens = {name: _tokens(count, encoders.widths[name]) for name, count in counts.items()}
    batch = collate([[TurnFeatures(tokens)]], encoders.widths)
    parts = {name: part.flatten_turns() for name, part in batch.modalities.items()}
    turns = torch.randn(1, PAST_TURNS, recognizer.config.model.dim, generator=generator)
    everyone = torch.ones(1, PAST_TURNS, dtype=torch.bool)
    changes = torch.zeros(1, PAST_TURNS, dtype=torch.long)
    return {
        "audio stem": lambda: whisper.stem(mel),
        "audio blocks": lambda: whisper.hidden_states(stem, None),
        f"{FACES} faces": lambda: encoders.visual(pixels),
        f"{WORD_PIECES} word pieces": lambda: encoders.text.model(**text),
        "fusion": lambda: engine.fuse(parts),
        f"{PAST_TURNS} turns": lambda: engine.classify(turns, everyone, changes),
    }


def _tokens(count: int, width: int) -> Tokens:
    edges = np.linspace(0, SECONDS, count + 1, dtype=np.float32)
    values = np.random.default_rng(0).normal(size=(count, width)).astype(np.float32)
    return Tokens(values, np.stack([edges[:-1], edges[1:]], axis=1))


def show(name: str, networks: Stages, repeats: int) -> None:
    """Measure and print the networks of one engine."""
    total = 0.0
    for stage, call in networks.items():
        wall, busy = [], []
        for number in range(WARM_UP + repeats):
            began, spent = time.perf_counter(), time.process_time()
            call()
            if number >= WARM_UP:
                wall.append(1000 * (time.perf_counter() - began))
                busy.append(1000 * (time.process_time() - spent))
        total += float(np.median(busy))
        print(
            f"{name:24} {stage:16} wall {np.median(wall):8.2f} p95 {np.percentile(wall, 95):8.2f}"
            f"   processor {np.median(busy):8.2f}",
            flush=True,
        )
    print(f"{name:24} {'all':16} {'':35} processor {total:8.2f}", flush=True)


@torch.inference_mode()
def main() -> None:
    """Measure PyTorch, then each folder in each engine that is installed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--bf16", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{platform.processor() or platform.machine()}, {options.threads} threads, ms")
    engines: list[EngineName] = ["torch", "torch-bf16"] if options.bf16 else ["torch"]
    for name in engines:
        show(name, stages(EmotionRecognizer.from_pretrained("embedded", name)), options.repeats)
    for folder in options.folders:
        for engine in ("onnx", "openvino"):
            if importlib.util.find_spec({"onnx": "onnxruntime"}.get(engine, engine)):
                found = EmotionRecognizer.from_pretrained(folder, engine)
                show(f"{engine} {folder.name}", stages(found), options.repeats)


if __name__ == "__main__":
    main()
