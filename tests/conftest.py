"""Fixtures that many tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from model_factory import SHAPES, SMALL
from torch import nn

from avt_memocmt import EmotionRecognizer
from avt_memocmt.models.avt_memocmt import AvtMemoCmt


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the real corpora; tests that need it skip, and say so, where it is not given."""
    folder = os.environ.get("AVT_MEMOCMT_DATA")
    if not folder:
        pytest.skip("set AVT_MEMOCMT_DATA to the folder with the corpora to run this test")
    return Path(folder)


@pytest.fixture(scope="session")
def recognizer() -> EmotionRecognizer:
    """The checkpoint that ships, loaded once for all tests."""
    return EmotionRecognizer.from_pretrained("embedded")


@pytest.fixture(scope="module")
def model() -> AvtMemoCmt:
    """A small fusion model, far from its first weights."""
    torch.manual_seed(0)
    net = AvtMemoCmt(SHAPES, SMALL)
    for parameter in net.parameters():  # far from linear, and nothing left at zero
        nn.init.normal_(parameter, std=0.3)
    return net.eval()
