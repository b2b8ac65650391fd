"""Whisper tiny.en's encoder in PyTorch, read from the packaged CTranslate2 file.

Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak Supervision", section 2.2.
Differentiable from the waveform to every hidden state, and exact on clips of any length up to 30 s:
nothing of a batch's padding reaches a clip's tokens.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from avt_memocmt.errors import AvtError
from avt_memocmt.features.audio_encoder import AudioEncoder
from avt_memocmt.features.base import length_mask
from avt_memocmt.features.ctranslate2_file import read_ctranslate2, whisper_variable
from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.pretrained import file_sha256, packaged_path

WHISPER = "whisper-tiny.en"
N_FFT = 400
HOP = 160
N_MELS = 80
SAMPLES_PER_TOKEN = 2 * HOP
MAX_TOKENS = 1500
MAX_SAMPLES = MAX_TOKENS * SAMPLES_PER_TOKEN
"""30 s: Whisper's window, and the length of its table of positions."""

_Count = TypeVar("_Count", int, Tensor)


class WhisperBlock(nn.Module):
    """A pre-norm transformer block whose queries, keys and values are one fused projection."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.feed_forward_norm = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, 4 * dim)
        self.contract = nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor, keys: Tensor | None) -> Tensor:
        """[batch, tokens, dim] -> the same shape; `keys`: what each token attends to.

        `keys` is bool, or float to add to the scores, and broadcasts to [batch, heads, tokens,
        tokens]; None means everything.
        """
        batch, tokens, dim = x.shape
        fused = self.qkv(self.attention_norm(x)).view(batch, tokens, 3, self.heads, -1)
        q, k, v = fused.permute(2, 0, 3, 1, 4)
        heard = F.scaled_dot_product_attention(q, k, v, attn_mask=keys, is_causal=False)
        x = x + self.out(heard.transpose(1, 2).reshape(batch, tokens, dim))
        hidden = F.gelu(self.expand(self.feed_forward_norm(x)))
        return x + cast(Tensor, self.contract(hidden))


class WhisperEncoder(AudioEncoder):
    """Whisper's encoder: its log-mel front end here, its two networks in the subclasses.

    The hidden states of a token are those of the convolutional stem with positions, the outputs of
    the first three blocks, and the layer-normed output of the fourth.
    """

    dim = 384
    layers = 5
    rate = SAMPLE_RATE / SAMPLES_PER_TOKEN

    filters: Tensor
    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("filters", torch.from_numpy(mel_filters()), persistent=False)
        self.register_buffer("window", torch.hann_window(N_FFT), persistent=False)
        self.identity = {"name": WHISPER, "sha256": file_sha256(packaged_path(WHISPER))}

    @property
    def device(self) -> torch.device:
        """See `AudioEncoder`."""
        return self.window.device

    @abstractmethod
    def stem(self, mel: Tensor) -> Tensor:
        """Convolutions: [batch, 80, 2 * tokens] -> [batch, tokens, dim]."""

    @abstractmethod
    def hidden_states(self, stem: Tensor, keys: Tensor | None) -> Tensor:
        """Transformer: [batch, tokens, dim] -> [batch, tokens, layers, dim].

        `keys` as in `WhisperBlock`.
        """

    def tokens_for(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """See `AudioEncoder`.

        Raises:
            AvtError: the batch is longer than 30 s.
        """
        # A row without sound still attends to one token: softmax over nothing is not a number.
        heard = lengths.clamp(min=1)
        longest = token_count(waveforms.shape[1])
        hidden = self(self.log_mel(waveforms, heard), length_mask(token_count(heard), longest))
        return hidden.flatten(2), length_mask(token_count(lengths), longest)

    def log_mel(self, waveforms: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Log-mel spectrogram as Whisper's own front end computes it (section 2.2).

        A clip counts as followed by silence, up to whole tokens. The floor, 8 decades (80 dB) below
        the clip's loudest point, looks at the clip alone.

        Args:
            waveforms: float [batch, samples], 16 kHz; what lies beyond a clip's length is ignored.
            lengths: int [batch], samples of each clip; None: all samples of every clip.

        Returns:
            Float [batch, 80, 2 * tokens], 100 frames/s; 0 beyond the end of a clip.

        Raises:
            AvtError: the batch is longer than 30 s.
        """
        if waveforms.shape[1] > MAX_SAMPLES:
            raise AvtError("Whisper's encoder takes at most 30 s of sound; cut the clip first.")
        if lengths is None:
            samples = waveforms.shape[1]
            lengths = torch.full((len(waveforms),), samples, device=waveforms.device)
        waveforms = waveforms * length_mask(lengths, waveforms.shape[1])
        frames = 2 * token_count(lengths)
        longest = 2 * token_count(waveforms.shape[1])
        # Silence on the right instead of a reflection: a clip may end anywhere in its row.
        padded = F.pad(waveforms, (0, longest * HOP + N_FFT // 2 - waveforms.shape[1]))
        padded = F.pad(padded[:, None], (N_FFT // 2, 0), mode="reflect")[:, 0]
        spectrum = torch.stft(
            padded, N_FFT, HOP, window=self.window, center=False, return_complex=True
        )
        power = spectrum.real.square() + spectrum.imag.square()
        mel = (self.filters @ power[..., :longest]).clamp(min=1e-10).log10()
        valid = length_mask(frames, longest)[:, None]
        loudest = mel.masked_fill(~valid, -math.inf).amax(dim=(1, 2), keepdim=True)
        return ((torch.maximum(mel, loudest - 8.0) + 4.0) / 4.0).masked_fill(~valid, 0.0)

    def forward(self, mel: Tensor, mask: Tensor | None = None) -> Tensor:
        """Hidden states of every clip.

        Args:
            mel: [batch, 80, 2 * tokens] from `log_mel`, at most 30 s.
            mask: bool [batch, tokens], True at a clip's own tokens, at least one per clip; None:
                there is no padding.

        Returns:
            [batch, tokens, layers, dim]; rows of padding hold no meaning.
        """
        keys = None if mask is None else mask[:, None, None, :]
        return self.hidden_states(self.stem(mel), keys)

    def forward_with_silence(self, mel: Tensor, total: int) -> Tensor:
        """Hidden states of one clip and of the silence that a recogniser needs after it.

        The clip's tokens attend to the clip alone, so they are the tokens of `forward`; those of
        the silence attend to everything. So one pass serves both emotion and transcript.

        Args:
            mel: [1, 80, 2 * tokens] from `log_mel`.
            total: tokens with the silence, between `tokens` and 1500.

        Returns:
            [1, total, layers, dim].
        """
        tokens = mel.shape[2] // 2
        # What `log_mel` gives for silence: the clip's floor, but no less than its own smallest.
        silence = float((mel.amax() - 2.0).clamp(min=-1.5))
        extended = F.pad(mel, (0, 2 * (total - tokens)), value=silence)
        stem = torch.cat([self.stem(mel), self.stem(extended)[:, tokens:]], dim=1)
        keys = torch.ones(total, total, dtype=torch.bool, device=mel.device)
        keys[:tokens, tokens:] = False
        return self.hidden_states(stem, keys)


class WhisperTinyEncoder(WhisperEncoder):
    """The frozen audio encoder of the embedded preset; gradients still flow to the waveform."""

    positions: Tensor

    def __init__(self, path: Path | None = None) -> None:
        """Load the weights.

        Args:
            path: a CTranslate2 `model.bin` of Whisper tiny; None for the packaged one.

        Raises:
            AvtError: the package is missing, or the file is not such a model.
        """
        super().__init__()
        self.conv1 = nn.Conv1d(N_MELS, self.dim, 3, padding=1)
        self.conv2 = nn.Conv1d(self.dim, self.dim, 3, stride=2, padding=1)
        self.blocks = nn.ModuleList(WhisperBlock(self.dim, heads=6) for _ in range(4))
        self.norm = nn.LayerNorm(self.dim)
        self.register_buffer("positions", torch.empty(MAX_TOKENS, self.dim))
        self._load(path or packaged_path(WHISPER))
        self.requires_grad_(False).eval()

    def stem(self, mel: Tensor) -> Tensor:
        """See `WhisperEncoder.stem`.

        Token i sees frames 2i - 2 to 2i + 2, of which `log_mel` makes the one past a clip zero, and
        the first convolution's outputs 2i - 1 to 2i + 1: so no padding reaches a clip's tokens.
        """
        return F.gelu(self.conv2(F.gelu(self.conv1(mel)))).transpose(1, 2)

    def hidden_states(self, stem: Tensor, keys: Tensor | None) -> Tensor:
        """See `WhisperEncoder.hidden_states`."""
        states = [stem + self.positions[: stem.shape[1]]]
        for block in self.blocks:
            states.append(block(states[-1], keys))
        states[-1] = self.norm(states[-1])
        return torch.stack(states, dim=2)

    def _load(self, path: Path) -> None:
        """Fill every parameter from CTranslate2's variables, refusing what does not fit."""
        tensors, state = read_ctranslate2(path, "encoder/"), {}
        for name, wanted in self.state_dict().items():
            variable = whisper_variable(name)
            found = tensors.get(variable)
            if found is None or found.shape != tuple(wanted.shape) or found.dtype.kind != "f":
                raise AvtError(
                    f"{path} is not a float CTranslate2 model of Whisper tiny (its variable "
                    f"{variable} is missing or has another shape)."
                )
            state[name] = torch.from_numpy(found.astype(np.float32))
        self.load_state_dict(state)


def token_count(samples: _Count) -> _Count:
    """Tokens of one clip, or of many: one per 20 ms, the last one possibly cut short."""
    return (samples + SAMPLES_PER_TOKEN - 1) // SAMPLES_PER_TOKEN


def mel_filters() -> NDArray[np.float32]:
    """Slaney's area-normalised mel filters (Auditory Toolbox, 1998), [80, 201], 0 to 8 kHz.

    `transformers.audio_utils` has them too, but takes seconds to import.
    """
    log_step = math.log(6.4) / 27.0
    # Linear below 1 kHz (15 mel), logarithmic above.
    top = 15.0 + math.log(SAMPLE_RATE / 2 / 1000.0) / log_step
    mels = np.linspace(0.0, top, N_MELS + 2)
    edges = np.where(mels < 15.0, mels * 200.0 / 3.0, 1000.0 * np.exp(log_step * (mels - 15.0)))
    bins = np.linspace(0.0, SAMPLE_RATE / 2, N_FFT // 2 + 1)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre))
    filters: NDArray[np.float64] = np.maximum(triangles, 0.0) * 2.0 / (high - low)
    return filters.astype(np.float32)
