"""What audio encoders share: batches of similar length, token times, bounded memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from avt_memocmt.features.base import Tokens
from avt_memocmt.media.types import SAMPLE_RATE

PIECE_SAMPLES = 30 * SAMPLE_RATE
"""Most sound that is encoded at once; longer clips are cut."""

BATCH_SAMPLES = 2 * PIECE_SAMPLES
"""Most samples of one batch, padding included; bounds the memory of `encode`."""


class AudioEncoder(nn.Module, ABC):
    """Waveforms in, tokens out.

    Attributes:
        dim: width of one hidden state.
        layers: hidden states concatenated in one token.
        rate: tokens per second.
        identity: name, and SHA-256 or revision of the weights.
    """

    dim: int
    layers: int
    rate: float
    identity: dict[str, str]

    @property
    def device(self) -> torch.device:
        """Where sound is encoded."""
        return next(self.parameters()).device

    @abstractmethod
    def tokens_for(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Encode a padded batch; gradients flow back to the waveforms.

        Args:
            waveforms: float [batch, samples], 16 kHz; what lies beyond a clip's length is ignored.
            lengths: int [batch], samples of each clip; 0 for no sound.

        Returns:
            Tokens [batch, tokens, layers * dim], and a bool mask [batch, tokens], True at a clip's
            own tokens. A clip of at least one sample has at least one token.
        """

    @torch.no_grad()
    def encode(self, waveforms: Sequence[NDArray[np.float32]]) -> list[Tokens]:
        """Tokens of each clip; an empty clip has none. Sound is encoded in pieces of 30 s at most.

        Args:
            waveforms: float32 [samples] each, mono, 16 kHz, in [-1, 1].
        """
        self.eval()
        pieces = [
            (clip, first, samples[first : first + PIECE_SAMPLES])
            for clip, samples in enumerate(waveforms)
            for first in range(0, len(samples), PIECE_SAMPLES)
        ]
        found: dict[int, Tokens] = {}
        for batch in batches([len(samples) for *_, samples in pieces]):
            encoded = self._values([pieces[index][2] for index in batch])
            for index, values in zip(batch, encoded, strict=True):
                _, first, samples = pieces[index]
                spans = token_spans(len(values), self.rate, len(samples), first)
                found[index] = Tokens(values, spans)
        parts: list[list[Tokens]] = [[] for _ in waveforms]
        for index, (clip, *_) in enumerate(pieces):
            parts[clip].append(found[index])
        return [join_tokens(part, self.layers * self.dim) for part in parts]

    def _values(self, sounds: Sequence[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        lengths = torch.tensor([len(samples) for samples in sounds])
        clips = [torch.from_numpy(np.asarray(samples, np.float32)) for samples in sounds]
        padded = pad_sequence(clips, batch_first=True)
        tokens, mask = self.tokens_for(padded.to(self.device), lengths.to(self.device))
        for values, count in zip(tokens.float().cpu(), mask.sum(1).tolist(), strict=True):
            yield values[:count].numpy()


def token_spans(count: int, rate: float, samples: int, first: int = 0) -> NDArray[np.float32]:
    """Seconds [count, 2] of the tokens of a stretch of sound, cut at its end.

    Args:
        count: tokens.
        rate: tokens per second.
        samples: length of the stretch.
        first: where it starts in its clip, in samples.
    """
    edges = np.minimum(np.arange(count + 1) / rate, samples / SAMPLE_RATE) + first / SAMPLE_RATE
    return np.stack([edges[:-1], edges[1:]], axis=1).astype(np.float32)


def join_tokens(parts: Sequence[Tokens], width: int) -> Tokens:
    """One clip's tokens from those of its pieces, in order; no pieces give zero tokens."""
    if not parts:
        return Tokens(np.zeros((0, width), np.float32), np.zeros((0, 2), np.float32))
    if len(parts) == 1:
        return parts[0]
    return Tokens(
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.spans for part in parts]),
    )


def batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices in batches of similar length whose padded size is within `BATCH_SAMPLES`."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[index] > BATCH_SAMPLES:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
