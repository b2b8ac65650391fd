"""The face network: its padding, its colours, its map, and its norms in the weights."""

from __future__ import annotations

import math
from itertools import permutations

import torch
from face_factory import make_face_cnn
from torch import Tensor, nn

from avt_memocmt.emotions import NUM_EMOTIONS
from avt_memocmt.features.face_cnn import BLOCKS, FaceCNN, SameConv, fold_normalisation


def test_a_strided_convolution_is_padded_right_and_below_alone() -> None:
    layer = SameConv(1, 1, 3, 2, 1)
    torch.nn.init.ones_(layer.weight)
    (found,) = layer(torch.ones(1, 1, 4, 4))[0].detach()
    assert found.tolist() == [[9.0, 6.0], [6.0, 4.0]]
    (odd,) = layer(torch.ones(1, 1, 5, 5))[0].detach()
    assert odd.tolist() == [[4.0, 6.0, 4.0], [6.0, 9.0, 6.0], [4.0, 6.0, 4.0]]


def test_an_unstrided_convolution_keeps_the_size() -> None:
    layer = SameConv(2, 2, 5, 1, 2)
    assert layer(torch.zeros(1, 2, 5, 7)).shape == (1, 2, 5, 7)


def test_a_block_is_a_filter_for_each_map_and_then_a_mixture_of_them() -> None:
    """The shapes in which the pretrained weights come."""
    (stem, *layers) = [part[0] for part in FaceCNN().trunk]
    assert stem.weight.shape == (32, 3, 3, 3)
    inputs = 32
    for depthwise, pointwise, (width, stride) in zip(
        layers[::2], layers[1::2], BLOCKS, strict=True
    ):
        assert depthwise.weight.shape == (inputs, 1, 3, 3)
        assert depthwise.stride == (stride, stride)
        assert pointwise.weight.shape == (width, inputs, 1, 1)
        inputs = width
    assert inputs == 512


@torch.no_grad()
def test_the_size_it_looks_at_changes_the_map_and_not_the_width() -> None:
    network = make_face_cnn()
    faces = torch.rand(3, 3, 112, 112)
    assert network.feature_map(faces).shape == (3, FaceCNN.DIM, 7, 7)
    torch.testing.assert_close(network.features(faces)[1:], network.features(faces[1:]))
    network.side = 80
    assert network.feature_map(faces).shape == (3, FaceCNN.DIM, 5, 5)
    assert network(faces).shape == (3, NUM_EMOTIONS)
    small = nn.functional.interpolate(
        faces, (80, 80), mode="bilinear", antialias=True, align_corners=False
    )
    assert torch.equal(network.features(small), network.features(faces))


@torch.no_grad()
def test_colours_are_told_apart() -> None:
    network = make_face_cnn()
    faces = torch.rand(2, 3, 112, 112)
    straight = network.feature_map(faces)
    for order in list(permutations(range(3)))[1:]:
        assert (network.feature_map(faces[:, order]) - straight).abs().max() > 0.1, order


@torch.no_grad()
def test_it_sees_what_differs_from_the_mean_in_steps_of_255() -> None:
    network = make_face_cnn()
    seen: list[Tensor] = []
    network.trunk.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    mean = torch.tensor(FaceCNN.MEAN).view(1, 3, 1, 1).expand(1, 3, 112, 112)
    network(mean)
    network(mean + torch.tensor([0.0, 1.0, -2.0]).view(3, 1, 1) / 255)
    torch.testing.assert_close(seen[0], torch.zeros(1, 3, 112, 112))
    expected = torch.tensor([0.0, 1.0, -2.0]).view(1, 3, 1, 1).expand(1, 3, 112, 112)
    torch.testing.assert_close(seen[1], expected, atol=1e-4, rtol=0)


@torch.no_grad()
def test_the_map_is_the_input_by_sixteen_rounded_up() -> None:
    network = make_face_cnn()
    for side in (64, 90, 113):
        network.side = side
        cells = math.ceil(side / 16)
        assert network.feature_map(torch.rand(1, 3, side, side)).shape[2:] == (cells, cells)


@torch.no_grad()
def test_folded_network_is_the_same_function() -> None:
    network, pictures = make_face_cnn(), torch.rand(4, 3, 112, 112)
    expected = network(pictures)
    folded = fold_normalisation(network)
    torch.testing.assert_close(folded(pictures), expected, atol=1e-5, rtol=1e-4)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in folded.modules())
