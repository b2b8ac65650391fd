"""The embedded preset's face-expression network: grey, 48 pixels, made for two CPU cores."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from avt_memocmt.emotions import NUM_EMOTIONS

STAGES = (
    # kernel, stride, expansion, width, blocks
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 1, 6, 192, 4),
)
"""EfficientNet-Lite0 up to its sixth stage (Tan and Le 2019, table 1, without squeeze-and-excite).

The sixth stage keeps its resolution, which halves in the original: a map of 5 x 5 tells mouth from
eyes, one of 3 x 3 does not.
"""


class SameConv(nn.Conv2d):
    """A convolution padded like TensorFlow's "same", for which the pretrained weights were made.

    With a stride, it adds more rows below than above, and more columns right than left.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, groups: int) -> None:
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[n, inputs, h, w] -> [n, outputs, ceil(h / stride), ceil(w / stride)]."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride == 1:
            # Both sides alike, which the convolution does itself; `F.pad` copies every map.
            return super().forward(x)
        height, width = (
            max((math.ceil(size / stride) - 1) * stride + kernel - size, 0) for size in x.shape[-2:]
        )
        sides = (width // 2, width - width // 2, height // 2, height - height // 2)
        return super().forward(F.pad(x, sides))


def _convolution(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1, act: bool = True
) -> nn.Sequential:
    layers = [
        SameConv(inputs, outputs, kernel, stride, groups),
        nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.03),
    ]
    return nn.Sequential(*layers, *([nn.ReLU6(inplace=True)] if act else []))


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution, projection (Sandler et al. 2018, section 3.3).

    In training a share `drop` of the pictures skips a block that has a shortcut (stochastic depth,
    Huang et al. 2016).
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int, drop: float
    ) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.body = nn.Sequential(
            *([_convolution(inputs, hidden)] if expansion > 1 else []),
            _convolution(hidden, hidden, kernel, stride, hidden),
            _convolution(hidden, outputs, act=False),
        )
        self.shortcut = stride == 1 and inputs == outputs
        self.drop = drop

    def forward(self, x: Tensor) -> Tensor:
        """[n, inputs, h, w] -> [n, outputs, h / stride, w / stride]."""
        out: Tensor = self.body(x)
        if not self.shortcut:
            return out
        if self.training and self.drop:
            kept = torch.rand(len(x), 1, 1, 1, device=x.device) >= self.drop
            out = out * kept / (1 - self.drop)
        return x + out


class FaceCNN(nn.Module):
    """Grey aligned face -> a 256-d token, and seven logits for training it alone.

    Attributes:
        side: pixels to which the input is enlarged; smaller ones train faster.
    """

    DIM = 256
    INPUT = 48
    SIDE = 80

    def __init__(self, dropout: float = 0.3, drop_path: float = 0.1) -> None:
        super().__init__()
        self.side = self.SIDE
        count = sum(blocks for *_, blocks in STAGES)
        blocks: list[nn.Module] = []
        inputs = 32
        for kernel, stride, expansion, width, depth in STAGES:
            for number in range(depth):
                drop = drop_path * len(blocks) / count
                blocks.append(
                    InvertedResidual(
                        inputs, width, kernel, stride if number == 0 else 1, expansion, drop
                    )
                )
                inputs = width
        self.trunk = nn.Sequential(_convolution(3, 32, 3, 2), *blocks)
        self.top = _convolution(inputs, self.DIM)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.DIM, NUM_EMOTIONS)

    def feature_map(self, x: Tensor) -> Tensor:
        """[n, 1, 48, 48] grey in [0, 1] -> [n, 256, 5, 5], the last spatial stage."""
        large = F.interpolate(x, (self.side, self.side), mode="bilinear", align_corners=False)
        pixels = ((large - 0.5) / 0.25).expand(-1, 3, -1, -1)
        maps: Tensor = self.top(self.trunk(pixels.contiguous(memory_format=torch.channels_last)))
        return maps

    def features(self, x: Tensor) -> Tensor:
        """[n, 1, 48, 48] grey in [0, 1] -> [n, 256], one token per face."""
        return self.feature_map(x).mean(dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """[n, 1, 48, 48] grey in [0, 1] -> logits [n, 7] in the order of `EMOTIONS`."""
        logits: Tensor = self.head(self.dropout(self.features(x)))
        return logits


def fold_normalisation(network: FaceCNN) -> FaceCNN:
    """Put every batch norm into the weights of the convolution before it, in place.

    In evaluation mode that is the same function, in half the time. A folded network cannot be
    trained further, nor saved.
    """
    for part in list(network.modules()):
        if isinstance(part, nn.Sequential) and len(part) > 1 and isinstance(part[0], SameConv):
            norm = part[1]
            assert isinstance(norm, nn.BatchNorm2d)
            part[0] = fuse_conv_bn_eval(part[0], norm)
            part[1] = nn.Identity()
    return network
