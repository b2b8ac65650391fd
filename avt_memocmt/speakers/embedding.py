"""Speaker embeddings: log-mel features and CAM++."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.pretrained import packaged_path
from avt_memocmt.speakers.campplus import MEL_BINS, load_campplus

SHORTEST = 0.1
"""Seconds; nothing shorter is embedded."""
ENOUGH = 3.0
"""Seconds of speech that are embedded, where there is as much; more tells no more, see
docs/speakers.md.
"""
_LEVEL, _FAINTEST = 0.05, 1e-8
"""RMS to which sound is brought, since the features end at a floor, and the least that counts."""


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Kaldi's log-mel features, each bin's mean taken out, so that the level does not matter.

    Args:
        samples: float32 [n], mono, 16 kHz, at least 25 ms.

    Returns:
        float32 [frames, 80], a frame each 10 ms.
    """
    import kaldi_native_fbank

    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.samp_freq = SAMPLE_RATE
    options.frame_opts.dither = 0.0  # the same sound gives the same features
    options.mel_opts.num_bins = MEL_BINS
    bank = kaldi_native_fbank.OnlineFbank(options)
    level = float(np.sqrt(np.mean(samples**2, dtype=np.float64)))
    bank.accept_waveform(SAMPLE_RATE, samples * np.float32(_LEVEL / max(level, _FAINTEST)))
    bank.input_finished()
    frames = np.stack([bank.get_frame(i) for i in range(bank.num_frames_ready)])
    return frames - frames.mean(axis=0)


class SpeakerEmbedder:
    """Speech of one person -> an embedding of the voice.

    Raises:
        AvtError: the packaged weights are missing or altered.
    """

    def __init__(self) -> None:
        state = torch.load(packaged_path("campplus"), map_location="cpu", weights_only=True)
        self._network = load_campplus(state)

    def embed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The embedding of a stretch of speech, float32 [192].

        Args:
            samples: float32 [n], mono, 16 kHz, at least `SHORTEST`, at any level.
        """
        return self.embed_all([samples])[0]

    def embed_all(self, sounds: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """The embedding of each stretch of speech; those of one length are embedded together.

        Args:
            sounds: each as `embed` takes it.
        """
        mels = [log_mel(samples) for samples in sounds]
        return [embedding.numpy() for embedding in in_batches(self._network, mels)]


def in_batches(
    network: Callable[[Tensor], Tensor], inputs: Sequence[NDArray[np.float32]]
) -> list[Tensor]:
    """What a network answers to each input; inputs of one length go through it together.

    Args:
        network: [n, length, ...] -> [n, ...].
        inputs: float32 [length, ...] each.
    """
    same: defaultdict[int, list[int]] = defaultdict(list)
    for number, one in enumerate(inputs):
        same[len(one)].append(number)
    found: dict[int, Tensor] = {}
    for numbers in same.values():
        batch = torch.from_numpy(np.stack([inputs[number] for number in numbers]))
        with torch.inference_mode():
            found |= zip(numbers, network(batch), strict=True)
    return [found[number] for number in range(len(inputs))]
