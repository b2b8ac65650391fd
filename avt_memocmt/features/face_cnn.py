"""The embedded preset's face-expression network: small, grey, 48 pixels, made for two CPU cores."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from avt_memocmt.emotions import NUM_EMOTIONS


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm and a shortcut (He et al. 2016, section 3.3)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[n, inputs, h, w] -> [n, outputs, h / stride, w / stride]."""
        return torch.relu(self.body(x) + self.shortcut(x))


class FaceCNN(nn.Module):
    """Grey aligned face -> a 256-d token, and seven logits for training it alone.

    94 million multiply-adds and 2.1 million parameters.
    """

    DIM = 256
    INPUT = 48

    def __init__(self, dropout: float = 0.3) -> None:
        super().__init__()
        self.stages = nn.Sequential(
            nn.Conv2d(1, 32, 3, 1, 1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(inplace=True),
            ResidualBlock(32, 48, 2),
            ResidualBlock(48, 96, 2),
            ResidualBlock(96, 192, 2),
            ResidualBlock(192, self.DIM, 1),
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.DIM, NUM_EMOTIONS)

    def feature_map(self, x: Tensor) -> Tensor:
        """[n, 1, 48, 48] grey in [0, 1] -> [n, 256, 6, 6], the last spatial stage."""
        maps: Tensor = self.stages((x - 0.5) / 0.25)
        return maps

    def features(self, x: Tensor) -> Tensor:
        """[n, 1, 48, 48] grey in [0, 1] -> [n, 256], one token per face."""
        return self.feature_map(x).mean(dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """[n, 1, 48, 48] grey in [0, 1] -> logits [n, 7] in the order of `EMOTIONS`."""
        logits: Tensor = self.head(self.dropout(self.features(x)))
        return logits
