"""What an encoder reads of one turn, in feature groups that can be replaced by a baseline.

Sound, faces and words are explained and checked alike: a method gives every feature group a score,
and a check takes groups away in the order of the scores.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from avt_memocmt.config import Config
from avt_memocmt.features.audio_encoder import AudioEncoder
from avt_memocmt.features.text_encoder import TextEncoder, TextInput
from avt_memocmt.features.visual_encoder import VisualEncoder
from avt_memocmt.features.whisper_encoder import WhisperEncoder
from avt_memocmt.inference.dialogue import PreparedTurn
from avt_memocmt.inference.encoding import Encoders, kept_stretches
from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.preprocessing.text_preprocess import clean_text, split_words

SOUND_BANDS = 8
"""Sets of neighbouring mel bands; sound is explained by time and by these."""
SOUND_STEP = 0.1
"""Seconds of sound that are one feature group."""


class Evidence(ABC):
    """One modality of one turn.

    Attributes:
        modality: "audio", "visual" or "text".
        inputs: float32 [1, ...], what the encoder is given.
        baseline: of the same shape, an input without information, such as silence.
        baseline_name: what the baseline is, for readers.
        feature_mask: int64, broadcastable to the shape of `inputs` without its first dimension:
            the feature group that each number belongs to, -1 for what is neither explained nor
            taken away (Captum's `feature_mask`).
        shape: of the scores of all feature groups, such as [bands, steps].
    """

    modality: str
    inputs: Tensor
    baseline: Tensor
    baseline_name: str
    feature_mask: Tensor
    shape: tuple[int, ...]

    @abstractmethod
    def tokens(self, inputs: Tensor) -> Tensor:
        """Encode [batch, ...] variants of `inputs`; return the tokens [batch, tokens, width]."""

    @property
    def feature_groups(self) -> int:
        """How many feature groups there are."""
        return int(np.prod(self.shape))

    def blended(self, kept: Tensor) -> Tensor:
        """The inputs with some feature groups replaced by the baseline.

        Args:
            kept: float [batch, feature groups], 1 = as it is, 0 = baseline.

        Returns:
            [batch, ...] as of `inputs`.
        """
        whole = torch.cat([kept, torch.ones_like(kept[:, :1])], dim=1)  # group -1 is always kept
        share = whole[:, self.feature_mask.expand(self.inputs.shape[1:])]
        return share * self.inputs + (1 - share) * self.baseline

    def scores(self, attribution: Tensor) -> NDArray[np.float64]:
        """Sum an attribution [1, ...] of the inputs over each feature group; returns `shape`."""
        groups = self.feature_mask.expand(self.inputs.shape[1:]).flatten()
        totals = torch.zeros(self.feature_groups + 1, dtype=torch.float64)  # the last is group -1
        totals.index_add_(0, groups % len(totals), attribution[0].flatten().double())
        return totals[:-1].reshape(self.shape).numpy()


class WordEvidence(Evidence):
    """The word embeddings of an utterance, by word; earlier lines that are read stay as they are.

    Args:
        encoder: the text encoder.
        item: the utterance, with at least one word piece, and its context.

    Attributes:
        words: those that were read, without what lies beyond the encoder's limit.
        word_of_piece: index of the word of each word piece.
    """

    modality = "text"
    baseline_name = "every word piece replaced by the tokenizer's mask (or padding) piece"

    def __init__(self, encoder: TextEncoder, item: TextInput) -> None:
        self.encoder = encoder
        self.batch = encoder.prepare([item])
        first, last = self.batch.words[0][0], self.batch.words[0][-1]
        self.word_of_piece = [word - first for word in self.batch.words[0]]
        words = split_words(clean_text(item.text, lowercase=encoder.config.lowercase))
        self.words = words[first : last + 1]
        with torch.no_grad():
            self.inputs = encoder.embed(self.batch).detach().float()
            self.baseline = self.inputs.clone()
            start, tokenizer = self.batch.starts[0], encoder.tokenizer
            pieces = slice(start, start + self.batch.counts[0])
            blank = tokenizer.mask_token_id
            blank = tokenizer.pad_token_id if blank is None else blank
            self.baseline[0, pieces] = encoder.model.get_input_embeddings()(torch.tensor(blank))
        self.feature_mask = torch.full((self.inputs.shape[1], 1), -1)
        self.feature_mask[pieces, 0] = torch.tensor(self.word_of_piece)
        self.shape = (len(self.words),)

    def tokens(self, inputs: Tensor) -> Tensor:
        """See `Evidence`."""
        found, _ = self.encoder(self.batch.rows([0] * len(inputs)), inputs)
        return found


class FaceEvidence(Evidence):
    """The aligned faces of an utterance, by the cells that the encoder's last map has per face.

    Args:
        encoder: the face encoder.
        crops: uint8 RGB [side, side, 3] each, in order of time.
    """

    modality = "visual"
    baseline_name = "each face blurred until only its light is left"

    def __init__(self, encoder: VisualEncoder, crops: Sequence[NDArray[np.uint8]]) -> None:
        self.encoder = encoder
        with torch.no_grad():
            faces = encoder.prepare(crops)
            cells = encoder.feature_map(faces[:1]).shape[2:]
            self.inputs = faces[None].float()
            self.baseline = _blurred(faces)[None]
        self.shape = (len(crops), *cells)
        rows, columns = (
            torch.arange(encoder.side) * count // encoder.side for count in self.shape[1:]
        )
        grid = rows[:, None] * self.shape[2] + columns
        first = torch.arange(len(crops)) * (self.shape[1] * self.shape[2])
        self.feature_mask = (first[:, None, None] + grid)[:, None]

    def maps(self, inputs: Tensor) -> Tensor:
        """The encoder's last maps [batch, faces, dim, h, w] of [batch, faces, 3, side, side]."""
        found = self.encoder.feature_map(inputs.flatten(0, 1))
        return found.reshape(*inputs.shape[:2], *found.shape[1:])

    def tokens(self, inputs: Tensor) -> Tensor:
        """See `Evidence`."""
        return self.maps(inputs).mean(dim=(3, 4))


class SoundEvidence(Evidence):
    """The sound of an utterance, by stretches of `SOUND_STEP` seconds.

    Whisper reads a log-mel spectrogram, which is also divided into `SOUND_BANDS` bands, low to
    high; other encoders read the waveform.

    Args:
        encoder: the sound encoder.
        stretches: where each encoded stretch starts, in seconds, and its samples.
    """

    modality = "audio"

    def __init__(
        self, encoder: AudioEncoder, stretches: Sequence[tuple[float, NDArray[np.float32]]]
    ) -> None:
        self.encoder = encoder
        waves = [torch.from_numpy(samples)[None] for _, samples in stretches]
        self._samples = [wave.shape[1] for wave in waves]
        if isinstance(encoder, WhisperEncoder):
            pieces = [encoder.log_mel(wave) for wave in waves]
            floors = [piece.amin().expand_as(piece) for piece in pieces]
            self.baseline_name = "silence: the floor of the spectrogram"
            rate, bands = 100.0, SOUND_BANDS
        else:
            pieces, floors = waves, [torch.zeros_like(wave) for wave in waves]
            self.baseline_name = "silence: samples of 0"
            rate, bands = float(SAMPLE_RATE), 1
        self.inputs, self.baseline = torch.cat(pieces, dim=-1), torch.cat(floors, dim=-1)
        self._lengths = [piece.shape[-1] for piece in pieces]
        times = [
            start + (torch.arange(length) + 0.5) / rate
            for (start, _), length in zip(stretches, self._lengths, strict=True)
        ]
        self.feature_mask = (torch.cat(times) / SOUND_STEP).long()
        self.shape = (bands, int(self.feature_mask.max()) + 1)
        if bands > 1:
            rows = self.inputs.shape[1]
            band_of_row = torch.arange(rows) * bands // rows
            self.feature_mask = band_of_row[:, None] * self.shape[1] + self.feature_mask

    def tokens(self, inputs: Tensor) -> Tensor:
        """See `Evidence`."""
        found = []
        stretches = torch.split(inputs, self._lengths, dim=-1)
        for stretch, samples in zip(stretches, self._samples, strict=True):
            if isinstance(self.encoder, WhisperEncoder):
                found.append(self.encoder(stretch).flatten(2))
            else:
                lengths = torch.full((len(stretch),), samples)
                found.append(self.encoder.tokens_for(stretch, lengths)[0])
        return torch.cat(found, dim=1)


def gather_evidence(encoders: Encoders, config: Config, turn: PreparedTurn) -> dict[str, Evidence]:
    """The evidence of every modality that a turn has, by modality."""
    found: dict[str, Evidence] = {}
    utterance = turn.utterance
    if "audio" in turn.tokens and encoders.audio is not None and utterance.samples is not None:
        stretches, _ = kept_stretches(utterance.samples, config.audio)
        found["audio"] = SoundEvidence(encoders.audio, stretches)
    if "visual" in turn.tokens and encoders.visual is not None:
        found["visual"] = FaceEvidence(encoders.visual, [face.crop for face in utterance.faces])
    if "text" in turn.tokens and encoders.text is not None:
        found["text"] = WordEvidence(encoders.text, TextInput(utterance.text, turn.context))
    return found


def _blurred(faces: Tensor) -> Tensor:
    """[n, 3, side, side] averaged over a third of the side, borders repeated."""
    reach = faces.shape[-1] // 6
    padded = F.pad(faces, (reach,) * 4, mode="replicate")
    return F.avg_pool2d(padded, 2 * reach + 1, stride=1)
