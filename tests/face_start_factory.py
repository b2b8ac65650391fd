"""A made-up start of the face network, in the files of the package that holds the real one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from avt_memocmt.features.face_cnn import BLOCKS


def write_face_start(folder: Path) -> Path:
    """Random weights in the form of a graph model of TensorFlow.js."""
    generator = np.random.default_rng(0)
    arrays: dict[str, tuple[int, ...]] = {"conv1/convolution/merged_input": (3, 3, 3, 32)}
    arrays["conv1_bn/batchnorm_1/sub"] = (32,)
    inputs = 32
    for number, (width, _) in enumerate(BLOCKS, 1):
        arrays[f"conv_dw_{number}/depthwise_kernel"] = (3, 3, inputs, 1)
        arrays[f"conv_dw_{number}_bn/batchnorm_1/mul"] = (1, 1, 1, inputs)
        arrays[f"conv_dw_{number}_bn/batchnorm_1/sub"] = (1, 1, 1, inputs)
        arrays[f"conv_pw_{number}/convolution/merged_input"] = (1, 1, inputs, width)
        arrays[f"conv_pw_{number}_bn/batchnorm_1/sub"] = (1, 1, 1, width)
        inputs = width
    half = {"dtype": "float16", "original_dtype": "float32"}
    entries = [
        {"name": name, "shape": list(shape), "dtype": "float32", "quantization": half}
        for name, shape in arrays.items()
    ]
    folder.mkdir()
    manifest = {"weightsManifest": [{"weights": entries}]}
    (folder / "faceres.json").write_text(json.dumps(manifest), encoding="utf-8")
    parts = [generator.normal(0, 0.1, shape).astype("<f2").tobytes() for shape in arrays.values()]
    (folder / "faceres.bin").write_bytes(b"".join(parts))
    return folder
