"""The network that hears changes of speaker and overlap: pyannote segmentation 3.0.

Plaquet and Bredin 2023, "Powerset multi-class cross entropy loss for neural speaker diarization",
arXiv 2310.13025: learned band-pass filters (SincNet, Ravanelli and Bengio 2018, arXiv 1808.00158),
a bidirectional LSTM and one class for every set of at most two of three speakers. Modules are named
as in the published weights.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avt_memocmt.media.types import SAMPLE_RATE

WINDOW = 10.0
"""Seconds that the network was trained on."""
SPEAKERS = 3
"""Speakers that it tells apart in one window."""
SETS = ((), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2))
"""Speakers of each class."""
FRAME_STEP = 270
"""Samples from one frame to the next: 16.9 ms."""
FRAME_LENGTH = 991
"""Samples that one frame is made from."""


class SincFilters(nn.Module):
    """Band-pass filters given by their edges, each as a cosine and a sine filter."""

    LOWEST, NARROWEST = 50.0, 50.0  # Hz
    STRIDE = 10

    def __init__(self, bands: int = 40, half: int = 125) -> None:
        super().__init__()
        self.low_hz_ = nn.Parameter(torch.zeros(bands, 1))
        self.band_hz_ = nn.Parameter(torch.zeros(bands, 1))
        self.window_: Tensor
        self.n_: Tensor
        self.register_buffer("window_", torch.ones(half))
        times = torch.arange(-half, 0).view(1, half) / SAMPLE_RATE
        self.register_buffer("n_", 2 * math.pi * times)

    def filters(self) -> Tensor:
        """Impulse responses [80, 1, 251].

        An ideal band-pass from f1 to f2 is (sin(2 pi f2 t) - sin(2 pi f1 t)) / (pi t); the sine
        filter is its Hilbert transform. The window holds the left half, which mirrors to the right.
        """
        low = self.LOWEST + self.low_hz_.abs()
        high = (low + self.NARROWEST + self.band_hz_.abs()).clamp(self.LOWEST, SAMPLE_RATE / 2)
        width = 2 * (high - low)
        scale = self.window_ / (self.n_ / 2) / width
        even = ((high * self.n_).sin() - (low * self.n_).sin()) * scale
        odd = ((low * self.n_).cos() - (high * self.n_).cos()) * scale
        middle = torch.ones_like(width)
        cosine = torch.cat((even, middle, even.flip(1)), dim=1)
        sine = torch.cat((odd, torch.zeros_like(middle), -odd.flip(1)), dim=1)
        return torch.cat((cosine, sine)).unsqueeze(1)

    def forward(self, x: Tensor) -> Tensor:
        """[n, 1, samples] -> [n, 80, frames]."""
        return F.conv1d(x, self.filters(), stride=self.STRIDE)


class SincBand(nn.Module):
    """Holds the filters under the name that they have in the published weights."""

    def __init__(self) -> None:
        super().__init__()
        self.filterbank = SincFilters()

    def forward(self, x: Tensor) -> Tensor:
        """[n, 1, samples] -> magnitudes [n, 80, frames]."""
        return self.filterbank(x).abs()


class SincNet(nn.Module):
    """Waveform -> features, one frame for 270 samples."""

    WIDTH = 60

    def __init__(self) -> None:
        super().__init__()
        self.wav_norm1d = nn.InstanceNorm1d(1, affine=True)
        self.conv1d = nn.ModuleList(
            (SincBand(), nn.Conv1d(80, self.WIDTH, 5), nn.Conv1d(self.WIDTH, self.WIDTH, 5))
        )
        self.norm1d = nn.ModuleList(
            nn.InstanceNorm1d(width, affine=True) for width in (80, self.WIDTH, self.WIDTH)
        )

    def forward(self, x: Tensor) -> Tensor:
        """[n, 1, samples] -> [n, 60, frames]."""
        x = self.wav_norm1d(x)
        for convolution, norm in zip(self.conv1d, self.norm1d, strict=True):
            x = F.leaky_relu(norm(F.max_pool1d(convolution(x), 3)))
        return x


class SegmentationNetwork(nn.Module):
    """Waveform of up to 10 s -> who of at most three unnamed speakers is heard when."""

    def __init__(self, hidden: int = 128) -> None:
        super().__init__()
        self.sincnet = SincNet()
        self.lstm = nn.LSTM(SincNet.WIDTH, hidden, 4, batch_first=True, bidirectional=True)
        self.linear = nn.ModuleList((nn.Linear(2 * hidden, hidden), nn.Linear(hidden, hidden)))
        self.classifier = nn.Linear(hidden, len(SETS))
        members = torch.tensor([[float(s in group) for s in range(SPEAKERS)] for group in SETS])
        self.members: Tensor
        self.register_buffer("members", members, persistent=False)

    def logits(self, samples: Tensor) -> Tensor:
        """[n, samples] -> [n, frames, 7] over `SETS`."""
        x, _ = self.lstm(self.sincnet(samples.unsqueeze(1)).transpose(1, 2))
        for layer in self.linear:
            x = F.leaky_relu(layer(x))
        return self.classifier(x)

    def forward(self, samples: Tensor) -> Tensor:
        """[n, samples] -> probability that each speaker is heard [n, frames, 3]."""
        return self.logits(samples).softmax(-1) @ self.members


def load_segmentation(file: dict[str, Any]) -> SegmentationNetwork:
    """The network with published weights, ready for use."""
    network = SegmentationNetwork()
    network.load_state_dict(file["state_dict"])
    return network.eval().requires_grad_(False)
