"""The typed schema of config.yaml: every setting, its unit and its range, validated once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from avt_memocmt.errors import AvtError

Positive = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]
Probability = Annotated[float, Field(ge=0, lt=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EncoderConfig(_Section):
    """Where an encoder's weights come from.

    Attributes:
        name: a hub id ("facebook/hubert-base-ls960"), a local folder, or one of the embedded
            encoders ("whisper-tiny.en", "face-cnn", "minilm-l6").
        revision: the hub commit to load; unused by local folders and embedded encoders.
    """

    name: str
    revision: str | None = None


class SegmentationConfig(_Section):
    """How long audio is cut into utterances (WebRTC VAD and a causal hangover rule).

    Attributes:
        aggressiveness: 0 (keeps most) to 3 (drops most), WebRTC VAD's own scale.
        min_speech: seconds of speech that open an utterance.
        min_silence: seconds of silence that close it.
        max_utterance: seconds after which an utterance is closed at the next short pause, and at
            1.5 times this length in any case.
        padding: seconds kept before and after the speech.
    """

    aggressiveness: Annotated[int, Field(ge=0, le=3)] = 2
    min_speech: Seconds = 0.15
    min_silence: Seconds = 0.7
    max_utterance: Seconds = 12.0
    padding: Annotated[float, Field(ge=0, le=1)] = 0.2


class AudioConfig(_Section):
    """Attributes:
    encoder: HuBERT, wav2vec2 or the packaged Whisper encoder.
    trim_silence: drop leading and trailing silence of a clip before encoding.
    trim_threshold_db: level below the clip's peak that counts as silence, dB.
    max_seconds: sound beyond this length of one utterance is not encoded.
    segmentation: how long audio is cut into utterances.
    """

    encoder: EncoderConfig
    trim_silence: bool = False
    trim_threshold_db: Annotated[float, Field(gt=0, le=90)] = 40.0
    max_seconds: Seconds = 30.0
    segmentation: SegmentationConfig = SegmentationConfig()


class VisualConfig(_Section):
    """Attributes:
    encoder: ResNet-50, ViT or this project's face CNN.
    detector: "mtcnn" (Zhang et al. 2016) or "yunet" (Wu et al. 2023), the faster one.
    frames_per_second: pictures sampled from the video each second.
    max_frames: faces of one utterance that are encoded, spread evenly over it.
    face_policy: which face is followed when there are several.
    min_face: smallest side of a face in pixels that is used.
    """

    encoder: EncoderConfig
    detector: Literal["mtcnn", "yunet"] = "mtcnn"
    frames_per_second: Annotated[float, Field(gt=0, le=60)] = 4.0
    max_frames: Positive = 32
    face_policy: Literal["largest", "central"] = "largest"
    min_face: Positive = 24


class TextConfig(_Section):
    """Attributes:
    encoder: BERT, DeBERTa or the packaged MiniLM.
    lowercase: lower-case before the tokenizer (an uncased tokenizer does so anyway).
    max_tokens: word pieces of the utterance itself that are kept.
    context_turns: past turns put before the utterance in the encoder's input; 0 = none.
    context_tokens: word pieces of that context that are kept, the latest ones.
    """

    encoder: EncoderConfig
    lowercase: bool = False
    max_tokens: Annotated[int, Field(ge=8, le=512)] = 96
    context_turns: Annotated[int, Field(ge=0, le=32)] = 0
    context_tokens: Annotated[int, Field(ge=0, le=384)] = 0


class ModelConfig(_Section):
    """The network after the encoders.

    Attributes:
        dim: width of every token after projection.
        heads: attention heads of both transformers; must divide dim.
        feed_forward: inner width of the feed-forward blocks.
        cross_modal_layers: layers of the Cross-Modal Transformer.
        temporal_layers: layers of the Temporal Transformer.
        temporal_window: turns that one turn can attend to on one side, itself included.
        causal: True = past turns only (streaming); False = past and future turns (offline).
        dropout: probability in both transformers while training.
    """

    dim: Positive = 256
    heads: Positive = 4
    feed_forward: Positive = 1024
    cross_modal_layers: Positive = 2
    temporal_layers: Positive = 2
    temporal_window: Positive = 16
    causal: bool = True
    dropout: Probability = 0.1

    @model_validator(mode="after")
    def _heads_divide_dim(self) -> ModelConfig:
        if self.dim % self.heads:
            raise ValueError(f"heads ({self.heads}) must divide dim ({self.dim})")
        return self


class Config(_Section):
    """Everything a checkpoint needs to be run again."""

    preset: Literal["paper", "embedded"]
    audio: AudioConfig
    visual: VisualConfig
    text: TextConfig
    model: ModelConfig = ModelConfig()


def load_config(path: str | Path) -> Config:
    """Read and validate a config.yaml.

    Raises:
        AvtError: the file is missing, is not YAML, or has an unknown key or a value out of range;
            the message names the key.
    """
    path = Path(path)
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AvtError(f"cannot read the configuration {path}: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise AvtError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(raw, dict):
        raise AvtError(f"{path} holds no settings; start from the project's config.yaml.")
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'top level'}: "
            f"{_explain(item['type'], item['msg'])}"
            for item in error.errors()
        )
        raise AvtError(f"{path}: {problems}.") from error


def save_config(config: Config, path: str | Path) -> None:
    """Write a config.yaml that `load_config` reads back to an equal object."""
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
    Path(path).write_text(text, encoding="utf-8")


def _explain(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "unknown key"
    return message[:1].lower() + message[1:].removesuffix(".")
