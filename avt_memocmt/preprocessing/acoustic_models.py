"""Acoustic models for forced alignment: they turn sound into CTC posteriors, words into tokens."""

from __future__ import annotations

import math
import unicodedata
from abc import ABC, abstractmethod
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.errors import AvtError
from avt_memocmt.forking import PerProcess
from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.pretrained import packaged_path

FRAME = 320
"""Samples of a frame of posteriors: 20 ms."""

_SHORTEST = 400  # samples that Wav2Vec2's convolutions need


class AcousticModel(ABC):
    """A CTC model and the tokens (phonemes or characters) that its posteriors are over.

    Attributes:
        blank: id of the blank token.
        boundary: id of the token that the model may emit between words, or None.
    """

    blank: int
    boundary: int | None

    @abstractmethod
    def log_posteriors(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Natural log posteriors [frames, vocabulary] of at most 30 s of sound.

        Args:
            samples: float32 [n], mono, `SAMPLE_RATE`; frame i lies at sample i * `FRAME`.
        """

    @abstractmethod
    def tokens(self, spoken: str) -> list[int]:
        """Ids of the tokens that spell a word of `spoken_words`; what has no token is left out."""


class PhonemeModel(AcousticModel):
    """The phoneme model and the grapheme-to-phoneme model inside the package `hama`, for English.

    The acoustic model was trained on the phonemes that this grapheme-to-phoneme model writes, and
    has learned its mistakes ("now" as n oʊ). So what it writes is a better target than a
    dictionary's pronunciation.

    Raises:
        AvtError: the package is missing, altered, or has no build for this system.
    """

    def __init__(self) -> None:
        weights = packaged_path("hama-ctc")
        for name in ("hama-g2p-encoder", "hama-g2p-decoder", "hama-g2p-vocabulary"):
            packaged_path(name)
        self._models = PerProcess(partial(_load_hama, weights))
        self._pronounce = lru_cache(maxsize=20_000)(self._alignments)
        acoustic, _ = self._models.get()
        self._ids = {token: index for index, token in enumerate(acoustic.decoder_tokens)}
        self.blank = self._ids["<blank>"]
        self.boundary = self._ids["<wb>"]

    def log_posteriors(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """[frames, 191]; see `AcousticModel.log_posteriors`."""
        waveform = np.clip(samples, -1.0, 1.0)[None]
        feeds = {"waveform": waveform, "waveform_lengths": np.array([len(samples)])}
        posteriors: NDArray[np.float32]
        (posteriors,) = self._models.get()[0].session.run(["log_probs"], feeds)
        return posteriors[0]

    def tokens(self, spoken: str) -> list[int]:
        """Phonemes of a word in Latin letters; see `AcousticModel.tokens`."""
        if spoken in _LETTER_NAMES:
            phonemes = _LETTER_NAMES[spoken].split()
        else:
            plain = _without_accents(spoken).lower()
            known = "".join(char for char in plain if "a" <= char <= "z" or char == "'")
            if not known.strip("'"):
                return []
            phonemes = self._pronounce(known)
        return [self._ids[p] for p in phonemes if p.strip() and p in self._ids and p[0] != "<"]

    def _alignments(self, word: str) -> list[str]:
        """Phonemes that the grapheme-to-phoneme model writes for a word."""
        return [item.phoneme for item in self._models.get()[1].predict(word).alignments]


class CharacterModel(AcousticModel):
    """A Wav2Vec2 CTC model over characters (Baevski et al. 2020).

    Args:
        name: a hub id or a folder with the model, its tokenizer and its feature extractor.
        revision: the hub commit; unused by folders.

    Raises:
        AvtError: they cannot be loaded, are not in safetensors, or have not 50 frames a second.
    """

    def __init__(self, name: str, revision: str = "main") -> None:
        from transformers import Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

        try:
            tokenizer = Wav2Vec2CTCTokenizer.from_pretrained(name, revision=revision)
            self._extractor = Wav2Vec2FeatureExtractor.from_pretrained(name, revision=revision)
            self._model: Any = Wav2Vec2ForCTC.from_pretrained(
                name, revision=revision, use_safetensors=True
            ).eval()
        except (OSError, ValueError, TypeError) as error:
            raise AvtError(
                f"cannot load the aligner {name!r}; give a folder written by save_pretrained with "
                "safetensors weights, tokenizer and feature extractor, or connect to the model hub."
            ) from error
        if math.prod(self._model.config.conv_stride) != FRAME:
            raise AvtError(f"the aligner {name!r} does not have {SAMPLE_RATE // FRAME} frames/s.")
        self._ids: dict[str, int] = tokenizer.get_vocab()
        self.blank = int(tokenizer.pad_token_id)
        self.boundary = self._ids.get(tokenizer.word_delimiter_token)

    def log_posteriors(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """[frames, characters]; see `AcousticModel.log_posteriors`."""
        import torch

        samples = np.pad(samples, (0, max(0, _SHORTEST - len(samples))))
        inputs = self._extractor(samples, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        with torch.inference_mode():
            logits = self._model(inputs.input_values).logits[0]
        posteriors: NDArray[np.float32] = logits.float().log_softmax(-1).numpy()
        return posteriors

    def tokens(self, spoken: str) -> list[int]:
        """Characters of a word in the model's own case; see `AcousticModel.tokens`."""
        ids = (self._character(char) for char in unicodedata.normalize("NFC", spoken))
        return [token for token in ids if token is not None]

    def _character(self, char: str) -> int | None:
        for form in (char.upper(), char.lower(), _without_accents(char).upper()):
            if form in self._ids:
                return self._ids[form]
        return None


def _load_hama(weights: Path) -> tuple[Any, Any]:
    """The acoustic and the grapheme-to-phoneme model, both with threads of their own."""
    from hama.asr import ASRModel
    from hama.inference import G2PModel

    try:
        return ASRModel(model_path=weights), G2PModel(max_input_len=48)
    except RuntimeError as error:
        raise AvtError(
            "the packaged aligner has no build for this system; use a Wav2Vec2 CTC model."
        ) from error


def _without_accents(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", text)
    return "".join(char for char in decomposed if not unicodedata.combining(char))


_LETTER_NAMES = {
    **{"B": "b i", "C": "s i", "D": "d i", "E": "i", "F": "ɛ f", "G": "d͡ʒ i", "H": "eɪ t͡ʃ"},
    **{"J": "d͡ʒ eɪ", "K": "k eɪ", "L": "ɛ l", "M": "ɛ m", "N": "ɛ n", "O": "oʊ", "P": "p i"},
    **{"Q": "k j u", "R": "ɑ ɹ", "S": "ɛ s", "T": "t i", "U": "j u", "V": "v i", "X": "ɛ k s"},
    **{"W": "d ʌ b ə l j u", "Y": "w aɪ", "Z": "z i"},
}
