"""The packaged speech recogniser: the encoder's one pass gives emotion tokens and the transcript.

Whisper tiny.en (Radford et al. 2022): this package's PyTorch encoder, CTranslate2's decoder.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avt_memocmt.errors import AvtError
from avt_memocmt.features.audio_encoder import PIECE_SAMPLES, join_tokens, token_spans
from avt_memocmt.features.base import Tokens
from avt_memocmt.features.whisper_encoder import MAX_TOKENS, WHISPER, WhisperEncoder
from avt_memocmt.forking import PerProcess
from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.preprocessing.voice_detector import FRAME, VoiceDetector
from avt_memocmt.pretrained import packaged_path, packaged_tokenizer

PROMPT = ("<|startoftranscript|>", "<|notimestamps|>")

WINDOW_SECONDS = 10.0
"""Shortest window the decoder is shown; with less silence after a short clip it loops."""

SILENCE_SECONDS = 3.0
"""Silence after a longer clip, as far as Whisper's 30 s allow."""

BEAM_SIZE = 5
REPEAT_NGRAM = 5
"""Word pieces in a row that may not come twice: ends loops, keeps "no, no, no"."""

NO_SPEECH_PROBABILITY = 0.6
NO_SPEECH_LOG_PROBABILITY = -1.0
"""Whisper's own rule for silence (section 4.5): no speech is likely and the text is not."""

MIN_LOG_PROBABILITY = -1.2
"""Mean log probability per word piece below which text is discarded: there, English in noise had a
word error rate of 1 or more; about half of the text invented for other languages lies there too."""

LETTERS_PER_SECOND = 12
"""Letters and digits in a second of sound, pauses included, from which on nothing can be missing.
Saves the search for voice in all but slow speech."""

LETTERS_PER_VOICED_SECOND = 20
"""The same without pauses: sentences of GRID have 9 to 12, of RAVDESS 12 to 19. Saves the search
for the last word."""

LEFT_OUT_SECONDS = 1.0
"""Voice without words that shows that the decoder stopped early, after a pause. Measured behind the
last word: 1.4 s and more where it did, 0.6 s at most where it did not."""

LAST_WORD_SECONDS = 0.4
"""How long the last word lasts from the start of its last piece."""

_VOICED = 0.5  # probability


@dataclass(frozen=True)
class Transcription:
    """What was said in a clip.

    Attributes:
        text: the words; empty where no speech was recognised.
        tokens: the clip's audio tokens, all hidden states, as `WhisperEncoder.encode` gives.
    """

    text: str
    tokens: Tokens


@dataclass(frozen=True)
class _Decoded:
    """What the decoder made of a stretch of sound.

    Attributes:
        text: the words, or "" if they cannot be trusted.
        pieces: ids of the word pieces.
        features: the final hidden states, as CTranslate2 takes them.
        tokens: how many of them are of the sound and not of the silence after it.
    """

    text: str
    pieces: list[int]
    features: Any
    tokens: int


class Transcriber:
    """English speech recognition on top of an encoder that is already loaded."""

    def __init__(
        self,
        encoder: WhisperEncoder,
        compute_type: str = "int8",
        voices: VoiceDetector | None = None,
    ) -> None:
        """Load the decoder.

        Args:
            encoder: the packaged encoder.
            compute_type: the decoder's arithmetic, as CTranslate2 names it ("int8", "float32").
            voices: shows where words are missing; None loads one.

        Raises:
            AvtError: the extra `avt-memocmt[embedded]` is not installed.
        """
        self.encoder = encoder
        self._voices = voices or VoiceDetector()
        path = packaged_path(WHISPER)
        self.decoder = PerProcess(partial(_load_decoder, str(path.parent), compute_type))
        self.tokenizer = packaged_tokenizer(WHISPER)
        self.prompt = [self.tokenizer.token_to_id(name) for name in PROMPT]

    @torch.no_grad()
    def transcribe(self, samples: NDArray[np.float32]) -> Transcription:
        """Recognise a clip; more than 30 s are recognised in pieces.

        Args:
            samples: float32 [n], mono, 16 kHz, in [-1, 1].
        """
        texts, parts = [], []
        for first in range(0, len(samples), PIECE_SAMPLES):
            text, tokens = self._piece(samples[first : first + PIECE_SAMPLES], first)
            texts.append(text)
            parts.append(tokens)
        width = self.encoder.layers * self.encoder.dim
        return Transcription(" ".join(filter(None, texts)), join_tokens(parts, width))

    def _piece(self, samples: NDArray[np.float32], first: int) -> tuple[str, Tokens]:
        """Words and tokens of up to 30 s; goes on wherever the decoder stopped early."""
        hidden, count = self._encode(samples)
        spans = token_spans(count, self.encoder.rate, len(samples), first)
        tokens = Tokens(hidden[:count].flatten(1).numpy(), spans)
        texts = []
        while True:
            decoded = self._decode(hidden[:, -1], count, len(samples) / SAMPLE_RATE)
            texts.append(decoded.text)
            rest = self._left_out(decoded, samples)
            if rest is None:
                return " ".join(filter(None, texts)), tokens
            samples = samples[rest:]
            hidden, count = self._encode(samples)

    def _encode(self, samples: NDArray[np.float32]) -> tuple[Tensor, int]:
        """Hidden states [tokens, layers, dim] of a sound and the silence after it; its tokens."""
        waveform = torch.from_numpy(np.asarray(samples, np.float32)).to(self.encoder.device)
        mel = self.encoder.log_mel(waveform[None])
        count, rate = mel.shape[2] // 2, self.encoder.rate
        window = max(WINDOW_SECONDS * rate, count + SILENCE_SECONDS * rate)
        hidden = self.encoder.forward_with_silence(mel, min(MAX_TOKENS, int(window)))
        return hidden[0].cpu(), count

    def _decode(self, hidden: Tensor, tokens: int, seconds: float) -> _Decoded:
        """The words of the final hidden states [tokens, dim]."""
        from ctranslate2 import StorageView

        features = StorageView.from_array(np.ascontiguousarray(hidden[None].numpy()))
        result = self.decoder.get().generate(
            features,
            [self.prompt],
            beam_size=BEAM_SIZE,
            no_repeat_ngram_size=REPEAT_NGRAM,
            # Nobody says ten word pieces a second; 224 is half of the decoder's positions.
            max_length=min(224, 16 + int(10 * seconds)),
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        likely = result.scores[0]
        silent = (
            result.no_speech_prob > NO_SPEECH_PROBABILITY and likely < NO_SPEECH_LOG_PROBABILITY
        )
        pieces = list(result.sequences_ids[0])
        text = str(self.tokenizer.decode(pieces)).strip()
        if silent or likely < MIN_LOG_PROBABILITY or not _letters(text):
            text = ""
        return _Decoded(text, pieces, features, tokens)

    def _left_out(self, decoded: _Decoded, samples: NDArray[np.float32]) -> int | None:
        """Where the speech begins that the decoder left out, in samples; None if it did not."""
        letters = _letters(decoded.text)
        unsaid = len(samples) / SAMPLE_RATE - letters / LETTERS_PER_SECOND
        if not letters or unsaid < LEFT_OUT_SECONDS:
            return None
        voiced = self._voices.probabilities(samples) >= _VOICED
        enough = LEFT_OUT_SECONDS * SAMPLE_RATE / FRAME
        if voiced.sum() - letters / LETTERS_PER_VOICED_SECOND * SAMPLE_RATE / FRAME < enough:
            return None
        last = self._last_word(decoded)
        if voiced[int((last + LAST_WORD_SECONDS) * SAMPLE_RATE / FRAME) :].sum() < enough:
            return None
        onset = int(last * SAMPLE_RATE / FRAME)
        pauses = np.flatnonzero(~voiced[onset:])
        return (onset + int(pauses[0])) * FRAME or None if len(pauses) else None

    def _last_word(self, decoded: _Decoded) -> float:
        """When the last piece of the last word begins, in seconds, by the decoder's attention."""
        # Two spectrogram frames a token: what lies behind them is not aligned with.
        start = [self.prompt[0]]
        (aligned,) = self.decoder.get().align(
            decoded.features, start, [decoded.pieces], [2 * decoded.tokens]
        )
        texts = [self.tokenizer.decode([piece]) for piece in decoded.pieces]
        last = max((i for i, text in enumerate(texts) if _letters(text)), default=len(texts) - 1)
        onset = min(token for piece, token in aligned.alignments if piece == last)
        return float(onset) / self.encoder.rate


def _letters(text: str) -> int:
    """How many letters and digits a text has."""
    return sum(map(str.isalnum, text))


def _load_decoder(folder: str, compute_type: str) -> Any:
    try:
        from ctranslate2.models import Whisper
    except ImportError as error:
        raise AvtError(
            "speech recognition needs ctranslate2; install the extra with: "
            "pip install 'avt-memocmt[embedded]'"
        ) from error
    threads = torch.get_num_threads()
    try:
        # One thread: the decoder's steps are too small for more, and beside a second OpenMP team
        # PyTorch's own sleeps between operations, which then take up to twice as long.
        return Whisper(
            folder, device="cpu", compute_type=compute_type, inter_threads=1, intra_threads=1
        )
    except (RuntimeError, ValueError) as error:
        raise AvtError(f"the speech recogniser cannot be loaded: {error}.") from error
    finally:
        torch.set_num_threads(threads)  # CTranslate2 sets it to its own number for the process
