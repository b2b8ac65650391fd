"""The face network: its padding, its start from ImageNet, and what its input size leaves alone."""

from __future__ import annotations

import torch
from torch import nn

from avt_memocmt.emotions import NUM_EMOTIONS
from avt_memocmt.features.face_cnn import FaceCNN, InvertedResidual, SameConv, fold_normalisation
from avt_memocmt.pretrained import packaged_path
from avt_memocmt.recipe.face import start_from_imagenet


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


def test_the_trunk_starts_as_efficientnet_lite0() -> None:
    network = FaceCNN()
    start_from_imagenet(network)
    given = torch.load(packaged_path("efficientnet-lite0"), weights_only=True)
    own = network.trunk.state_dict()
    pairs = {
        "0.0.weight": "_conv_stem.weight",
        "1.body.0.0.weight": "_blocks.0._depthwise_conv.weight",
        "2.body.0.0.weight": "_blocks.1._expand_conv.weight",
        "2.body.2.1.running_var": "_blocks.1._bn2.running_var",
        "15.body.2.0.weight": "_blocks.14._project_conv.weight",
    }
    for ours, theirs in pairs.items():
        assert own[ours].equal(given[theirs]), ours


def test_a_block_without_a_shortcut_is_never_skipped_and_one_with_it_is_at_random() -> None:
    torch.manual_seed(0)
    faces = torch.randn(64, 8, 4, 4)
    skipped = InvertedResidual(8, 8, 3, 1, 2, drop=0.5).train()
    is_input = (skipped(faces) - faces).flatten(1).abs().amax(dim=1) == 0
    assert 0 < is_input.sum() < 64
    kept = InvertedResidual(8, 8, 3, 1, 2, drop=0.5).eval()
    assert not ((kept(faces) - faces).flatten(1).abs().amax(dim=1) == 0).any()


@torch.no_grad()
def test_the_size_it_looks_at_changes_the_map_and_not_the_width() -> None:
    network = FaceCNN().eval()
    faces = torch.rand(3, 1, 48, 48)
    assert network.feature_map(faces).shape == (3, FaceCNN.DIM, 5, 5)
    torch.testing.assert_close(network.features(faces)[1:], network.features(faces[1:]))
    network.side = 64
    assert network.feature_map(faces).shape == (3, FaceCNN.DIM, 4, 4)
    assert network(faces).shape == (3, NUM_EMOTIONS)


@torch.no_grad()
def test_folded_network_is_the_same_function() -> None:
    torch.manual_seed(0)
    network = FaceCNN()
    pictures = torch.rand(4, 1, 48, 48)
    for _ in range(3):
        network.train()(pictures)  # gives the norms something to say
    expected = network.eval()(pictures)
    folded = fold_normalisation(network)
    torch.testing.assert_close(folded(pictures), expected, atol=1e-5, rtol=1e-4)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in folded.modules())
