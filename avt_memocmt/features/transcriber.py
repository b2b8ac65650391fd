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


@dataclass(frozen=True)
class Transcription:
    """What was said in a clip.

    Attributes:
        text: the words; empty where no speech was recognised.
        tokens: the clip's audio tokens, all hidden states, as `WhisperEncoder.encode` gives.
    """

    text: str
    tokens: Tokens


class Transcriber:
    """English speech recognition on top of an encoder that is already loaded."""

    def __init__(self, encoder: WhisperEncoder, compute_type: str = "int8") -> None:
        """Load the decoder.

        Args:
            encoder: the packaged encoder.
            compute_type: the decoder's arithmetic, as CTranslate2 names it ("int8", "float32").

        Raises:
            AvtError: the extra `avt-memocmt[embedded]` is not installed.
        """
        self.encoder = encoder
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
        device = self.encoder.device
        waveform = torch.from_numpy(np.asarray(samples, np.float32)).to(device)
        mel = self.encoder.log_mel(waveform[None])
        count, rate = mel.shape[2] // 2, self.encoder.rate
        window = max(WINDOW_SECONDS * rate, count + SILENCE_SECONDS * rate)
        hidden = self.encoder.forward_with_silence(mel, min(MAX_TOKENS, int(window)))[0].cpu()
        values = hidden[:count].flatten(1).numpy()
        tokens = Tokens(values, token_spans(count, rate, len(samples), first))
        return self._decode(hidden[:, -1], len(samples) / SAMPLE_RATE), tokens

    def _decode(self, hidden: Tensor, seconds: float) -> str:
        """The text of the final hidden states [tokens, dim], or "" if it cannot be trusted."""
        from ctranslate2 import StorageView

        result = self.decoder.get().generate(
            StorageView.from_array(np.ascontiguousarray(hidden[None].numpy())),
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
        text = str(self.tokenizer.decode(result.sequences_ids[0])).strip()
        if silent or likely < MIN_LOG_PROBABILITY or not any(map(str.isalnum, text)):
            return ""
        return text


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
