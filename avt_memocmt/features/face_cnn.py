"""The embedded preset's face-expression network: colour, 112 pixels, made for two CPU cores."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from avt_memocmt.emotions import NUM_EMOTIONS

BLOCKS = (
    # output width, stride
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
)
"""MobileNet up to its eleventh block (Howard et al. 2017, table 1).

The last two are left out: they tell identities apart. A linear probe on the mean of the eleventh
block classifies RAF-DB better than one on the thirteenth (0.69 against 0.63 accuracy).
"""


class SameConv(nn.Conv2d):
    """A convolution padded like TensorFlow's "same", for which the pretrained weights were made.

    With a stride, it adds more rows below than above, and more columns right than left.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> None:
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


def _convolution(convolution: SameConv) -> nn.Sequential:
    norm = nn.BatchNorm2d(convolution.out_channels, eps=1e-3, momentum=0.03)
    return nn.Sequential(convolution, norm, nn.ReLU6(inplace=True))


class FaceCNN(nn.Module):
    """Aligned face in colour -> a 256-d token, and seven logits for training it alone.

    Attributes:
        side: pixels to which the input is resized; smaller ones train faster.
    """

    DIM = 256
    INPUT = 112
    # Means of the photographs of ImageNet in [0, 1]: the start was trained on what differs from
    # them, in steps of 1 / 255.
    MEAN = (0.48501961, 0.45795686, 0.40760392)

    def __init__(self, dropout: float = 0.4) -> None:
        super().__init__()
        self.side = self.INPUT
        layers = [SameConv(3, 32, 3, 2)]
        inputs = 32
        for width, stride in BLOCKS:
            # Depthwise, then pointwise (Howard et al. 2017, section 3.1).
            layers += [SameConv(inputs, inputs, 3, stride, inputs), SameConv(inputs, width)]
            inputs = width
        self.trunk = nn.Sequential(*map(_convolution, layers))
        self.top = _convolution(SameConv(inputs, self.DIM))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.DIM, NUM_EMOTIONS)
        self.mean: Tensor
        self.register_buffer("mean", torch.tensor(self.MEAN).view(3, 1, 1), persistent=False)

    def feature_map(self, x: Tensor) -> Tensor:
        """[n, 3, 112, 112] RGB in [0, 1] -> [n, 256, 7, 7], the last spatial stage."""
        if x.shape[-1] != self.side:
            size = (self.side, self.side)
            x = F.interpolate(x, size, mode="bilinear", antialias=True, align_corners=False)
        pixels = (x - self.mean) * 255.0
        maps: Tensor = self.top(self.trunk(pixels.contiguous(memory_format=torch.channels_last)))
        return maps

    def features(self, x: Tensor) -> Tensor:
        """[n, 3, 112, 112] RGB in [0, 1] -> [n, 256], one token per face."""
        return self.feature_map(x).mean(dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """[n, 3, 112, 112] RGB in [0, 1] -> logits [n, 7] in the order of `EMOTIONS`."""
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
