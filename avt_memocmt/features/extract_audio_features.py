"""Audio encoders: HuBERT, wav2vec2 and WavLM (paper), and the packaged Whisper encoder (embedded).

Every encoder turns 16 kHz waveforms into about 50 tokens a second, each with its time span. A
clip's tokens never depend on the clips it was batched with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from avt_memocmt.as_program import run_command
from avt_memocmt.config import EncoderConfig
from avt_memocmt.errors import AvtError
from avt_memocmt.features.audio_encoder import AudioEncoder
from avt_memocmt.features.base import length_mask
from avt_memocmt.features.hub import hub_identity, load_hub_config, load_hub_model
from avt_memocmt.features.whisper_encoder import WHISPER, WhisperTinyEncoder
from avt_memocmt.media.types import SAMPLE_RATE


class HubAudioEncoder(AudioEncoder):
    """HuBERT (Hsu et al. 2021), wav2vec 2.0 (Baevski et al. 2020) or WavLM, its last hidden state.

    Models whose first convolution has a group norm over time (the base sizes) were trained without
    an attention mask, and padding changes that norm: they see clips of equal length only.
    """

    layers = 1

    def __init__(self, name: str, revision: str | None = None) -> None:
        """Load model and front-end settings.

        Args:
            name: a hub id or a local folder with a model and its preprocessor_config.json.
            revision: the hub commit; ignored for folders.

        Raises:
            AvtError: the weights cannot be loaded, or are of another kind of model.
        """
        super().__init__()
        kind = load_hub_config(name, revision)
        if not hasattr(kind, "feat_extract_norm"):
            raise AvtError(
                f"{name!r} is a {kind.model_type!r} model; an audio encoder must be HuBERT, "
                "wav2vec2 or WavLM."
            )
        # SpecAugment masks spans longer than a short utterance, which transformers refuses.
        self.model = load_hub_model(name, revision, apply_spec_augment=False)
        config = self.model.config
        front_end = _load_front_end(name, revision)
        self.normalize = bool(front_end.do_normalize)
        self.padded = bool(front_end.return_attention_mask) and config.feat_extract_norm == "layer"
        self.dim = int(config.hidden_size)
        self.rate = SAMPLE_RATE / math.prod(config.conv_stride)
        self.minimum = _receptive_field(config.conv_kernel, config.conv_stride)
        self.identity = hub_identity(name, revision, config)

    def tokens_for(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """See `AudioEncoder`. Sound shorter than the front end's window is padded with silence."""
        waveforms = F.pad(waveforms, (0, max(0, self.minimum - waveforms.shape[1])))
        waveforms = self._normalized(waveforms, lengths)
        window = lengths.clamp(min=self.minimum)
        if self.padded:
            mask = length_mask(window, waveforms.shape[1]).long()
            tokens = self.model(waveforms, attention_mask=mask).last_hidden_state
        else:
            tokens = self._equal_lengths(waveforms, window)
        counts = self._counts(window) * (lengths > 0)
        return tokens, length_mask(counts, tokens.shape[1])

    def _normalized(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """Each clip at mean 0 and variance 1 if the front end asks for it; 0 beyond its end."""
        valid = length_mask(lengths, waveforms.shape[1])
        waveforms = waveforms * valid
        if not self.normalize:
            return waveforms
        count = lengths.clamp(min=1)[:, None]
        centred = (waveforms - waveforms.sum(1, keepdim=True) / count) * valid
        variance = centred.square().sum(1, keepdim=True) / count
        return centred / (variance + 1e-7).sqrt()

    def _equal_lengths(self, waveforms: Tensor, window: Tensor) -> Tensor:
        """[batch, tokens, dim], each group of equally long clips encoded without padding."""
        rows: dict[int, Tensor] = {}
        for length in set(window.tolist()):
            members = (window == length).nonzero()[:, 0].tolist()
            hidden = self.model(waveforms[members, :length]).last_hidden_state
            rows.update(zip(members, hidden, strict=True))
        return pad_sequence([rows[i] for i in range(len(rows))], batch_first=True)

    def _counts(self, lengths: Tensor) -> Tensor:
        counts: Tensor = self.model._get_feat_extract_output_lengths(lengths)
        return counts


def make_audio_encoder(config: EncoderConfig) -> AudioEncoder:
    """Build the audio encoder a config names: "whisper-tiny.en" (packaged), a hub id or a folder.

    Raises:
        AvtError: the weights are missing, not the pinned ones, or of another kind of model.
    """
    if config.name == WHISPER:
        return WhisperTinyEncoder()
    return HubAudioEncoder(config.name, config.revision)


def _receptive_field(kernels: Sequence[int], strides: Sequence[int]) -> int:
    """Samples that one output of a stack of convolutions sees."""
    field = 1
    for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
        field = (field - 1) * stride + kernel
    return field


def _load_front_end(name: str, revision: str | None) -> Any:
    from transformers import AutoFeatureExtractor

    loader: Any = AutoFeatureExtractor
    try:
        front_end = loader.from_pretrained(name, revision=revision)
    except (OSError, ValueError, KeyError) as error:
        raise AvtError(
            f"the audio encoder {name!r} has no readable preprocessor_config.json; save its "
            "feature extractor into the folder that --encoders names."
        ) from error
    if front_end.sampling_rate != SAMPLE_RATE:
        raise AvtError(f"{name!r} expects {front_end.sampling_rate} Hz; choose a 16 kHz model.")
    return front_end


if __name__ == "__main__":
    run_command("features", "audio")
