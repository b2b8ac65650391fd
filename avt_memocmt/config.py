"""The typed schema of config.yaml: every setting, its unit and its range, validated once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.errors import AvtError
from avt_memocmt.files import write_atomically

EMBEDDED_PRESET = Path(__file__).parent / "presets" / "embedded.yaml"
"""The settings of the embedded preset; the paper's are the project's config.yaml."""

Positive = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]
Probability = Annotated[float, Field(ge=0, lt=1)]
Modality = Literal["audio", "visual", "text"]
ModelKind = Literal["avt-memocmt", "text-only", "audio-text-memocmt", "avt-late-fusion"]


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
    trim_threshold_db: level below the clip's loudest 20 ms that counts as silence, dB.
    voice_activity: encode only the stretches in which somebody speaks, for noisy recordings; a
        clip in which nobody is heard is encoded whole, with the warning "no_speech".
    max_seconds: what lies beyond this length of one utterance is not encoded.
    segmentation: how voice activity is found, and how long audio is cut into utterances.
    """

    encoder: EncoderConfig
    trim_silence: bool = False
    trim_threshold_db: Annotated[float, Field(gt=0, le=90)] = 40.0
    voice_activity: bool = False
    max_seconds: Seconds = 30.0
    segmentation: SegmentationConfig = SegmentationConfig()


class VisualConfig(_Section):
    """Faces are chosen by rate, then by change, then by count.

    Attributes:
        encoder: ResNet-50, ViT or this project's face CNN.
        detector: "mtcnn" (Zhang et al. 2016) or "yunet" (Wu et al. 2023), the faster one.
        frames_per_second: pictures sampled from the video each second.
        min_change: least difference from the last face kept of a face that is encoded, mean
            absolute grey levels of 255; another person or scene always counts. 0 = all are.
        max_frames: faces of one utterance that are encoded, spread evenly over it.
        face_policy: which face is followed when there are several.
        min_face: smallest side of a face in pixels that is used.
    """

    encoder: EncoderConfig
    detector: Literal["mtcnn", "yunet"] = "mtcnn"
    frames_per_second: Annotated[float, Field(gt=0, le=60)] = 4.0
    min_change: Annotated[float, Field(ge=0, le=255)] = 0.0
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
    fine_tuned: a checkpoint's own text_encoder.safetensors replaces the encoder's weights.
    align_words: find out when each word is said (forced alignment, English), so that word pieces
        carry their own times; without it, or with the warning "transcript_mismatch", they divide
        the utterance evenly.
    """

    encoder: EncoderConfig
    lowercase: bool = False
    max_tokens: Annotated[int, Field(ge=8, le=512)] = 96
    context_turns: Annotated[int, Field(ge=0, le=32)] = 0
    context_tokens: Annotated[int, Field(ge=0, le=384)] = 0
    fine_tuned: bool = False
    align_words: bool = False


class TemperatureConfig(_Section):
    """What logits are divided by, fitted on held-back data after training; 1 where not given.

    Attributes:
        decision: of the decision, by the modalities of the turn, as "audio+text".
        alone: of each modality's own decision.
        growth: the power of 1 + novelty (`models/novelty.py`) that both are multiplied by where a
            modality is alone; 0 where not given.
    """

    decision: dict[str, Annotated[float, Field(gt=0)]] = {}
    alone: dict[Modality, Annotated[float, Field(gt=0)]] = {}
    growth: dict[Modality, Annotated[float, Field(ge=0)]] = {}

    @model_validator(mode="after")
    def _known_sets(self) -> TemperatureConfig:
        modalities = get_args(Modality)
        for name in self.decision:
            parts = name.split("+")
            if parts != [m for m in modalities if m in parts]:
                raise ValueError(f"{name} is no set of modalities; write it as audio+visual+text")
        return self


class ModelConfig(_Section):
    """The network after the encoders.

    Attributes:
        kind: the proposed network or one of the baselines in `models/baselines.py`.
        modalities: those the network hears; the others are absent in training and afterwards.
        dim: width of every token after projection.
        heads: attention heads of both transformers; must divide dim.
        feed_forward: inner width of the feed-forward blocks.
        cross_modal_layers: layers of the Cross-Modal Transformer; 0 = none (an ablation).
        temporal_layers: layers of the Temporal Transformer; 0 = none (an ablation).
        pooling: how Audio-Text MemoCMT reads its fused tokens (Khan et al. 2025).
        temporal_window: turns that one turn can attend to on one side, itself included.
        causal: True = past turns only (streaming); False = past and future turns (offline).
        dropout: probability in both transformers while training.
        temperatures: of the proposed network's probabilities.
    """

    kind: ModelKind = "avt-memocmt"
    modalities: Annotated[tuple[Modality, ...], Field(min_length=1)] = ("audio", "visual", "text")
    dim: Positive = 256
    heads: Positive = 4
    feed_forward: Positive = 1024
    cross_modal_layers: Annotated[int, Field(ge=0)] = 2
    temporal_layers: Annotated[int, Field(ge=0)] = 2
    pooling: Literal["cls", "mean", "max", "min"] = "mean"
    temporal_window: Positive = 16
    causal: bool = True
    dropout: Probability = 0.1
    temperatures: TemperatureConfig = TemperatureConfig()

    @model_validator(mode="after")
    def _heads_divide_dim(self) -> ModelConfig:
        if self.dim % self.heads:
            raise ValueError(f"heads ({self.heads}) must divide dim ({self.dim})")
        return self


class FeatureShape(_Section):
    """What one stored token of a modality holds.

    Attributes:
        dim: width of one hidden state; 1 for named measurements.
        layers: hidden states concatenated in one token.
        names: of the tokens, where each stands for one named measurement and not for a moment;
            such a modality always has len(names) tokens of width 1, NaN where not measured.
    """

    dim: Positive
    layers: Positive = 1
    names: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _named_values_are_scalars(self) -> FeatureShape:
        if self.names is not None and (self.dim != 1 or self.layers != 1):
            raise ValueError("named tokens hold one value each: dim and layers must be 1")
        return self


class TrainingConfig(_Section):
    """How a network is trained on the dialogues of a feature store.

    Attributes:
        seed: of every random choice.
        epochs: passes over the train split at most.
        patience: epochs without a better dev weighted F1 after which training stops.
        learning_rate: peak of the cosine schedule, of everything but the text encoder.
        encoder_learning_rate: the same, of a text encoder that is fine-tuned.
        weight_decay: of AdamW.
        warmup: share of the steps over which the learning rate rises.
        clip: largest gradient norm.
        token_budget: tokens of all modalities, padding included, in one batch of dialogues.
        turn_budget: turns in one batch of dialogues, padding included.
        modality_dropout: chance that a present modality is hidden from a turn, the last one never.
        class_balance: exponent of the inverse class frequency that weighs the loss; 0 = none, 1 =
            every class weighs the same.
        prior_correction: share of the logarithm of the class frequencies that is taken off the
            logits after training (Menon et al. 2021); 0 = none, 1 = all.
        label_smoothing: of the loss.
        weight_average: decay, at each step, of the moving average of the weights that is judged and
            kept; 0 = the weights themselves.
        auxiliary_weight: of the loss of each modality's own decision.
        precision: bf16 runs the network in autocast.
        text_encoder: frozen reads stored tokens; fine-tuned trains the encoder along, on the text.
        frozen_layers: lowest layers of a fine-tuned text encoder that stay as they are.
        encoder_dropout: inside a fine-tuned text encoder.
    """

    seed: Annotated[int, Field(ge=0)] = 0
    epochs: Positive = 20
    patience: Positive = 4
    learning_rate: Annotated[float, Field(gt=0)] = 3e-4
    encoder_learning_rate: Annotated[float, Field(gt=0)] = 3e-5
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    warmup: Probability = 0.1
    clip: Annotated[float, Field(gt=0)] = 1.0
    token_budget: Positive = 8192
    turn_budget: Positive = 64
    modality_dropout: Probability = 0.1
    class_balance: Annotated[float, Field(ge=0, le=1)] = 0.0
    prior_correction: Annotated[float, Field(ge=0, le=1)] = 0.0
    label_smoothing: Probability = 0.05
    weight_average: Probability = 0.0
    auxiliary_weight: Annotated[float, Field(ge=0)] = 0.3
    precision: Literal["fp32", "bf16"] = "fp32"
    text_encoder: Literal["frozen", "fine-tuned"] = "frozen"
    frozen_layers: Annotated[int, Field(ge=0)] = 0
    encoder_dropout: Probability = 0.1


class PathsConfig(_Section):
    """Where the research commands read and write, relative to the working folder.

    Attributes:
        meld: the MELD release, in any of its layouts.
        features: the feature store.
        checkpoint: the trained network.
        experiments: results.csv and pictures.
    """

    meld: Path = Path("data/MELD")
    features: Path = Path("features/meld")
    checkpoint: Path = Path("checkpoints/meld")
    experiments: Path = Path("experiments")


class Config(_Section):
    """Everything a checkpoint needs to be run again.

    Attributes:
        labels: names of the classes in the order of the logits; only the order of `EMOTIONS` runs.
        features: what the stored tokens hold that the network was trained on; None where they are
            those of the configured encoders.
    """

    preset: Literal["paper", "embedded"]
    labels: tuple[str, ...] = EMOTIONS
    audio: AudioConfig
    visual: VisualConfig
    text: TextConfig
    model: ModelConfig = ModelConfig()
    features: dict[Modality, FeatureShape] | None = None
    training: TrainingConfig = TrainingConfig()
    paths: PathsConfig = PathsConfig()

    @model_validator(mode="after")
    def _labels_are_ours(self) -> Config:
        if self.labels != EMOTIONS:
            raise ValueError(
                f"labels are {', '.join(self.labels)}, but this program's are {', '.join(EMOTIONS)}"
            )
        return self


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read and validate a config.yaml.

    Args:
        path: the file.
        overrides: "section.key=value" each, value in YAML; they replace what the file says.

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
    for override in overrides:
        apply_override(raw, override)
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        raise AvtError(f"{path}: {validation_problems(error)}.") from error


def save_config(config: Config, path: str | Path) -> None:
    """Write a config.yaml, whole or not at all, that `load_config` reads back to an equal object.

    Raises:
        AvtError: it cannot be written.
    """
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
    write_atomically(Path(path), text.encode())


def apply_override(raw: dict[str, Any], override: str) -> None:
    """Put one "section.key=value" into the settings."""
    name, equals, text = override.partition("=")
    *sections, key = name.strip().split(".")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise AvtError(f"{override!r}: the value is not valid YAML.") from error
    if not equals or not key:
        raise AvtError(f"{override!r} is no setting; write it as training.epochs=5.")
    for section in sections:
        raw = raw.setdefault(section, {})
        if not isinstance(raw, dict):
            raise AvtError(f"{override!r}: {section} is a single value, not a section.")
    raw[key] = value


def validation_problems(error: ValidationError) -> str:
    """What is wrong with which key of a settings file."""
    return "; ".join(
        f"{'.'.join(map(str, item['loc'])) or 'top level'}: {_explain(item['type'], item['msg'])}"
        for item in error.errors()
    )


def _explain(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "unknown key"
    return message[:1].lower() + message[1:].removesuffix(".")


MODALITIES: tuple[str, ...] = ("audio", "visual", "text")


@dataclass(frozen=True)
class TokenShape:
    """What one token of a modality holds.

    Attributes:
        dim: width of one hidden state; 1 for named measurements.
        layers: hidden states concatenated in one token.
        names: of the tokens, where each stands for one measurement and not for a moment.
    """

    dim: int
    layers: int = 1
    names: tuple[str, ...] | None = None

    @property
    def width(self) -> int:
        """Numbers in one token."""
        return self.dim * self.layers
