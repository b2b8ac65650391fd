"""The start of the face network computes what the network it comes from computes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from face_start_factory import write_face_start
from torch import Tensor, nn
from torch.nn import functional as F

from avt_memocmt.errors import AvtError
from avt_memocmt.features.face_cnn import BLOCKS, FaceCNN
from avt_memocmt.recipe.face_start import start_from_identities


def stored(folder: Path) -> dict[str, Tensor]:
    entries = json.loads((folder / "faceres.json").read_text())["weightsManifest"][0]["weights"]
    flat = np.frombuffer((folder / "faceres.bin").read_bytes(), "<f2").astype(np.float32)
    sizes = [int(np.prod(entry["shape"])) for entry in entries]
    parts = np.split(flat, np.cumsum(sizes)[:-1])
    return {
        entry["name"]: torch.from_numpy(part.reshape(entry["shape"]).copy())
        for entry, part in zip(entries, parts, strict=True)
    }


def reference(arrays: dict[str, Tensor], faces: Tensor) -> Tensor:
    """The graph by its own words: BGR less the means of ImageNet, no batch norms, ReLU6."""

    def same(x: Tensor, kernel: Tensor, stride: int, groups: int) -> Tensor:
        if stride == 2:
            return F.conv2d(F.pad(x, (0, 1, 0, 1)), kernel, stride=2, groups=groups)
        return F.conv2d(x, kernel, padding=kernel.shape[-1] // 2, groups=groups)

    def named(name: str) -> Tensor:
        return arrays[name].view(1, -1, 1, 1)

    x = faces.flip(1) * 255 - torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)
    x = same(x, arrays["conv1/convolution/merged_input"].permute(3, 2, 0, 1), 2, 1)
    x = F.relu6(x + named("conv1_bn/batchnorm_1/sub"))
    for number, (_, stride) in enumerate(BLOCKS, 1):
        depthwise = arrays[f"conv_dw_{number}/depthwise_kernel"].permute(2, 3, 0, 1)
        x = same(x, depthwise, stride, x.shape[1])
        x = x * named(f"conv_dw_{number}_bn/batchnorm_1/mul")
        x = F.relu6(x + named(f"conv_dw_{number}_bn/batchnorm_1/sub"))
        x = same(x, arrays[f"conv_pw_{number}/convolution/merged_input"].permute(3, 2, 0, 1), 1, 1)
        x = F.relu6(x + named(f"conv_pw_{number}_bn/batchnorm_1/sub"))
    return x


@torch.no_grad()
def test_the_trunk_starts_as_the_network_it_comes_from(tmp_path: Path) -> None:
    folder = write_face_start(tmp_path / "models")
    network, faces = FaceCNN(), torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    start_from_identities(network, folder, faces)
    other = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    found = network.eval().trunk((other - network.mean) * 255.0)
    expected = reference(stored(folder), other)
    assert expected.std() > 0.01
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=2e-3)


@torch.no_grad()
def test_training_starts_from_the_statistics_of_faces(tmp_path: Path) -> None:
    """So the first steps of training do not tear down what the start knows."""
    network, faces = FaceCNN(), torch.rand(6, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    start_from_identities(network, write_face_start(tmp_path / "models"), faces)
    pixels = (faces - network.mean) * 255.0
    before = network.eval().trunk(pixels)
    torch.testing.assert_close(network.train().trunk(pixels), before, atol=0.05, rtol=0.05)
    assert isinstance(network.trunk[0][1], nn.BatchNorm2d)


def test_a_folder_without_these_weights_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(AvtError, match="--face-start"):
        start_from_identities(FaceCNN(), None, torch.zeros(1, 3, 64, 64))
    with pytest.raises(AvtError, match=r"does not hold faceres\.json"):
        start_from_identities(FaceCNN(), tmp_path, torch.zeros(1, 3, 64, 64))
    folder = write_face_start(tmp_path / "models")
    whole = (folder / "faceres.bin").read_bytes()
    (folder / "faceres.bin").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(AvtError, match=r"does not hold faceres\.json"):
        start_from_identities(FaceCNN(), folder, torch.zeros(1, 3, 64, 64))
