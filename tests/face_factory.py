"""Face networks with random weights through which a face is still seen."""

from __future__ import annotations

import torch
from torch import nn

from avt_memocmt.features.face_cnn import FaceCNN, SameConv


def make_face_cnn(seed: int = 0) -> FaceCNN:
    """In evaluation mode. With the weights it is made with, tokens of all faces are nearly 0."""
    torch.manual_seed(seed)
    network = FaceCNN().train()
    for part in network.modules():
        if isinstance(part, SameConv):
            nn.init.kaiming_normal_(part.weight)
        elif isinstance(part, nn.BatchNorm2d):
            part.momentum = 1.0
    with torch.no_grad():
        network(torch.rand(8, 3, 112, 112))
    return network.eval()
