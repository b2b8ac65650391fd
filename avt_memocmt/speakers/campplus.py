"""CAM++, a network that turns a stretch of speech into an embedding of its speaker.

Wang et al. 2023, "CAM++: A Fast and Efficient Network for Speaker Verification Using Context-Aware
Masking", arXiv 2303.00332: two-dimensional convolutions over mel bins and time, then a densely
connected time-delay network whose layers are each masked by the context. Modules are named as in
the published weights, which were trained on Chinese and English speech.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

MEL_BINS = 80
DIM = 192
"""Length of an embedding."""
GROWTH = 32
"""Channels that each layer of a dense block adds."""
BOTTLENECK = 128
BLOCKS = ((12, 1), (24, 2), (16, 2))
"""Layers and dilation of each dense block (table 1)."""
CONTEXT_FRAMES = 100
"""Length of the segments whose means are the local context: 2 s."""


def _norm_relu(channels: int) -> nn.Sequential:
    norm = nn.Sequential()
    norm.add_module("batchnorm", nn.BatchNorm1d(channels))
    norm.add_module("relu", nn.ReLU())
    return norm


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut; a stride halves the mel bins, never the time."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, (stride, 1), 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, channels, 1, (stride, 1), bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """[n, channels, bins, frames] -> [n, channels, bins / stride, frames]."""
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


class MelFrontEnd(nn.Module):
    """The convolutions over mel bins and time (FCM in the paper): 80 bins become 10."""

    CHANNELS = 32

    def __init__(self) -> None:
        super().__init__()
        width = self.CHANNELS
        self.conv1 = nn.Conv2d(1, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = nn.Sequential(ResidualBlock(width, 2), ResidualBlock(width, 1))
        self.layer2 = nn.Sequential(ResidualBlock(width, 2), ResidualBlock(width, 1))
        self.conv2 = nn.Conv2d(width, width, 3, (2, 1), 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """[n, 80, frames] -> [n, 320, frames]."""
        x = x.unsqueeze(1).contiguous(memory_format=torch.channels_last)
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(self.layer2(self.layer1(x)))))
        return x.flatten(1, 2)


class TimeDelayLayer(nn.Module):
    """The convolution that halves the frame rate to 50 a second."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Conv1d(inputs, outputs, 5, 2, 2, bias=False)
        self.nonlinear = _norm_relu(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """[n, inputs, frames] -> [n, outputs, ceil(frames / 2)]."""
        return self.nonlinear(self.linear(x))


class ContextAwareMask(nn.Module):
    """A convolution whose outputs are scaled by what the whole and the near context say."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.linear_local = nn.Conv1d(
            BOTTLENECK, GROWTH, 3, padding=dilation, dilation=dilation, bias=False
        )
        self.linear1 = nn.Conv1d(BOTTLENECK, BOTTLENECK // 2, 1)
        self.linear2 = nn.Conv1d(BOTTLENECK // 2, GROWTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[n, 128, frames] -> [n, 32, frames]."""
        frames = x.shape[-1]
        near = F.avg_pool1d(x, CONTEXT_FRAMES, CONTEXT_FRAMES, ceil_mode=True)
        context = x.mean(-1, keepdim=True) + near
        mask = self.linear2(F.relu(self.linear1(context))).sigmoid()
        return self.linear_local(x) * mask.repeat_interleave(CONTEXT_FRAMES, -1)[..., :frames]


class DenseLayer(nn.Module):
    """One layer of a dense block; returns the channels that it adds."""

    def __init__(self, inputs: int, dilation: int) -> None:
        super().__init__()
        self.nonlinear1 = _norm_relu(inputs)
        self.linear1 = nn.Conv1d(inputs, BOTTLENECK, 1, bias=False)
        self.nonlinear2 = _norm_relu(BOTTLENECK)
        self.cam_layer = ContextAwareMask(dilation)

    def forward(self, x: Tensor) -> Tensor:
        """[n, inputs, frames] -> [n, 32, frames]."""
        return self.cam_layer(self.nonlinear2(self.linear1(self.nonlinear1(x))))


class DenseBlock(nn.Module):
    """Layers that each read the outputs of all layers before them."""

    def __init__(self, inputs: int, layers: int, dilation: int) -> None:
        super().__init__()
        for i in range(layers):
            self.add_module(f"tdnnd{i + 1}", DenseLayer(inputs + i * GROWTH, dilation))

    def forward(self, x: Tensor) -> Tensor:
        """[n, inputs, frames] -> [n, inputs + 32 * layers, frames]."""
        for layer in self.children():
            x = torch.cat((x, layer(x)), dim=1)
        return x


class Transition(nn.Module):
    """Halves the channels after a dense block."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.nonlinear = _norm_relu(inputs)
        self.linear = nn.Conv1d(inputs, inputs // 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[n, inputs, frames] -> [n, inputs / 2, frames]."""
        return self.linear(self.nonlinear(x))


class Statistics(nn.Module):
    """Mean and standard deviation over time."""

    def forward(self, x: Tensor) -> Tensor:
        """[n, channels, frames] -> [n, 2 * channels, 1]."""
        return torch.cat((x.mean(-1), x.std(-1)), dim=-1).unsqueeze(-1)


class Embedding(nn.Module):
    """The last projection."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.linear = nn.Conv1d(inputs, DIM, 1, bias=False)
        self.nonlinear = nn.Sequential()
        self.nonlinear.add_module("batchnorm", nn.BatchNorm1d(DIM, affine=False))

    def forward(self, x: Tensor) -> Tensor:
        """[n, inputs, 1] -> [n, 192]."""
        return self.nonlinear(self.linear(x)).squeeze(-1)


class CamPlusPlus(nn.Module):
    """Log-mel features of one speaker's speech -> an embedding; compare two by their cosine."""

    def __init__(self) -> None:
        super().__init__()
        self.head = MelFrontEnd()
        width = BOTTLENECK
        self.xvector = nn.Sequential()
        self.xvector.add_module("tdnn", TimeDelayLayer(MelFrontEnd.CHANNELS * MEL_BINS // 8, width))
        for i, (layers, dilation) in enumerate(BLOCKS, start=1):
            self.xvector.add_module(f"block{i}", DenseBlock(width, layers, dilation))
            width += layers * GROWTH
            self.xvector.add_module(f"transit{i}", Transition(width))
            width //= 2
        self.xvector.add_module("out_nonlinear", _norm_relu(width))
        self.xvector.add_module("stats", Statistics())
        self.xvector.add_module("dense", Embedding(2 * width))

    def forward(self, mel: Tensor) -> Tensor:
        """[n, frames, 80] log-mel, each bin's mean taken out; at least 4 frames -> [n, 192]."""
        return self.xvector(self.head(mel.transpose(1, 2)))


def load_campplus(state: dict[str, Any]) -> CamPlusPlus:
    """The network with published weights, ready for use: evaluation mode, norms folded."""
    network = CamPlusPlus()
    network.load_state_dict(state)
    network.eval().requires_grad_(False)
    for part in list(network.modules()):
        _fold_norms(part)
    return network


def _fold_norms(part: nn.Module) -> None:
    """Put batch norms into the convolutions before them: the same function, faster."""
    pairs: list[tuple[str, str]] = []
    if isinstance(part, (MelFrontEnd, ResidualBlock)):
        pairs = [("conv1", "bn1"), ("conv2", "bn2")]
    if isinstance(part, ResidualBlock) and len(part.shortcut):
        pairs.append(("shortcut.0", "shortcut.1"))
    if isinstance(part, (TimeDelayLayer, Embedding)):
        pairs = [("linear", "nonlinear.batchnorm")]
    if isinstance(part, DenseLayer):
        pairs = [("linear1", "nonlinear2.batchnorm")]
    for name, norm_name in pairs:
        convolution, norm = part.get_submodule(name), part.get_submodule(norm_name)
        assert isinstance(convolution, nn.Conv1d | nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)
        part.set_submodule(name, fuse_conv_bn_eval(convolution, norm))
        part.set_submodule(norm_name, nn.Identity())
