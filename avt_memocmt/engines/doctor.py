"""Reports what is installed, what this machine can run, and which weights are found."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass

import torch

from avt_memocmt.engines.bfloat16 import has_units
from avt_memocmt.engines.names import EngineName
from avt_memocmt.errors import AvtError
from avt_memocmt.features.extract_text_features import TEXT_ENCODER_FILE
from avt_memocmt.features.extract_visual_features import FACE_CNN_FILE
from avt_memocmt.models.checkpoint import CONFIG_FILE, MODEL_FILE
from avt_memocmt.pretrained import CHECKPOINTS, PACKAGED, installed_version, packaged_path
from avt_memocmt.version import __version__

LIBRARIES = (
    "torch",
    "transformers",
    "av",
    "onnxruntime",
    "opencv-python-headless",
    "webrtcvad-wheels",
    "ctranslate2",
)
INSTRUCTIONS = (
    *("avx2", "avx512_f", "avx512_vnni", "avx512_bf16"),
    *("amx_tile", "amx_bf16", "amx_int8", "bf16"),
)
"""PyTorch's names of the instruction sets that are reported."""
CHECKPOINT_FILES = (CONFIG_FILE, MODEL_FILE, TEXT_ENCODER_FILE, FACE_CNN_FILE)


@dataclass(frozen=True)
class Fact:
    """One line of the report.

    Attributes:
        name: of the library, part of the machine or weights.
        value: what was found.
        ok: whether predictions can use it; None where they do not need it.
    """

    name: str
    value: str
    ok: bool | None = None


def gather_facts() -> list[Fact]:
    """Collect the lines of the report; what is missing is a fact too, never an error."""
    return [
        Fact("avt-memocmt", __version__),
        Fact("Python", f"{platform.python_version()} on {platform.platform()}"),
        *(_library(name) for name in LIBRARIES),
        *_processor(),
        *(_packaged(name) for name in PACKAGED),
        _checkpoint(),
    ]


def _library(name: str) -> Fact:
    version = installed_version(name)
    missing = "not installed; install it with: pip install 'avt-memocmt[embedded]'"
    return Fact(name, version or missing, version is not None)


def _processor() -> list[Fact]:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = f"{torch.get_num_threads()} in PyTorch, {usable} cores usable"
    supported = torch.cpu.get_capabilities()
    named = ", ".join(name for name in INSTRUCTIONS if supported.get(name))
    accelerator = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return [
        Fact("threads", threads),
        Fact("PyTorch kernels", torch.backends.cpu.get_cpu_capability()),
        Fact("instruction sets", named or "none of AVX2, AVX-512, AMX"),
        Fact("GPU", accelerator),
        _engines(),
    ]


def _engines() -> Fact:
    usable: dict[EngineName, bool] = {
        "torch": True,
        "torch-bf16": has_units(),
        "torch-cuda": torch.cuda.is_available(),
        "onnx": installed_version("onnxruntime") is not None,
        "openvino": installed_version("openvino") is not None,
    }
    return Fact("engines", ", ".join(name for name, here in usable.items() if here))


def _packaged(name: str) -> Fact:
    entry = PACKAGED[name]
    try:
        packaged_path(name)
    except AvtError as error:
        return Fact(name, str(error), False)
    return Fact(name, f"{entry.about} ({entry.distribution}, SHA-256 as pinned)", True)


def _checkpoint() -> Fact:
    folder = CHECKPOINTS / "embedded"
    missing = [name for name in CHECKPOINT_FILES if not (folder / name).is_file()]
    if missing:
        return Fact("checkpoint embedded", f"{folder} lacks {', '.join(missing)}", False)
    return Fact("checkpoint embedded", str(folder), True)
