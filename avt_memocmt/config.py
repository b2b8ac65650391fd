"""The settings: what each means, its unit, range and default, written here and nowhere else.

`scripts/write_settings.py` generates config.yaml and docs/settings.md from these classes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from avt_memocmt.emotions import EMOTIONS

Modality = Literal["audio", "visual", "text"]
MODALITIES: tuple[str, ...] = get_args(Modality)

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Above0 = Annotated[float, Field(gt=0)]
AtLeast0 = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Probability = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """A group of settings: unknown keys are refused, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class EncoderConfig(Section):
    """Where the weights of an encoder come from."""

    name: str
    """Hub id, local folder written by `save_pretrained`, or name of a packaged encoder."""
    revision: str | None = None
    """Commit on the hub; unused by local folders and packaged encoders."""


class SegmentationConfig(Section):
    """How speech is found (WebRTC voice activity detection) and cut into utterances."""

    aggressiveness: Annotated[int, Field(ge=0, le=3)] = 2
    """WebRTC's own scale: 0 keeps most of the sound, 3 drops most."""
    min_speech: Above0 = 0.15
    """Speech that opens an utterance, s."""
    min_silence: Above0 = 0.7
    """Silence that closes it, s."""
    max_utterance: Above0 = 12.0
    """Length after which the next short pause closes it, s; it never exceeds 1.5 times this."""
    padding: Fraction = 0.2
    """Sound kept before and after the speech, s."""


class AudioConfig(Section):
    """Which part of the sound is encoded, and by what."""

    encoder: EncoderConfig
    """facebook/hubert-base-ls960, facebook/wav2vec2-base or the packaged whisper-tiny.en."""
    trim_silence: bool = False
    """Drop leading and trailing silence of a clip before encoding."""
    trim_threshold_db: Annotated[float, Field(gt=0, le=90)] = 40.0
    """Level below the loudest 20 ms of the clip that counts as silence, dB."""
    voice_activity: bool = False
    """Encode only speech, for noisy recordings; a clip without speech is encoded whole, with the
    warning "no_speech".
    """
    max_seconds: Above0 = 20.0
    """Longest part of an utterance, sound and pictures, that is encoded, s."""
    segmentation: SegmentationConfig = SegmentationConfig()
    """How speech is found, and long recordings are cut into utterances."""


class VisualConfig(Section):
    """Which faces are encoded, and by what; chosen by rate, then by change, then by number."""

    encoder: EncoderConfig
    """microsoft/resnet-50, google/vit-base-patch16-224 or the packaged face-cnn."""
    detector: Literal["mtcnn", "yunet"] = "mtcnn"
    """Face detector: MTCNN (Zhang et al. 2016) or the faster YuNet (Wu et al. 2023)."""
    frames_per_second: Annotated[float, Field(gt=0, le=60)] = 4.0
    """Pictures sampled from the video, Hz."""
    min_change: Annotated[float, Field(ge=0, le=255)] = 0.0
    """Mean absolute difference, in grey levels, from the last face kept that makes a face worth
    encoding; another person or scene always does, and 0 keeps every face.
    """
    max_frames: Positive = 32
    """Faces of one utterance that are encoded, spread evenly over it."""
    face_policy: Literal["largest", "central"] = "largest"
    """Which of several faces counts where nobody is heard speaking, or with `--faces largest`."""
    min_face: Positive = 24
    """Shortest side of a face that is used, px."""


class TextConfig(Section):
    """Which words are encoded, and by what."""

    encoder: EncoderConfig
    """bert-base-uncased, microsoft/deberta-v3-base or the packaged minilm-l6."""
    lowercase: bool = False
    """Lower-case the words before the tokenizer; an uncased tokenizer does so anyway."""
    max_tokens: Annotated[int, Field(ge=8, le=512)] = 96
    """Word pieces of the utterance that are kept."""
    context_turns: Annotated[int, Field(ge=0, le=32)] = 0
    """Past turns put before the utterance in the input of the encoder."""
    context_tokens: Annotated[int, Field(ge=0, le=384)] = 0
    """Word pieces of these turns that are kept, the latest ones."""
    fine_tuned: bool = False
    """The checkpoint's own text_encoder.safetensors replaces the weights of the encoder."""
    align_words: bool = False
    """Find by forced alignment (English) when each word is said; otherwise, and with the warning
    "transcript_mismatch", word pieces divide the utterance evenly.
    """


class ModelConfig(Section):
    """The network after the encoders."""

    kind: Literal[
        "avt-memocmt", "text-only", "audio-text-memocmt", "avt-late-fusion", "mist", "d2gnn"
    ] = "avt-memocmt"
    """The proposed network or one that it is compared with."""
    modalities: Annotated[tuple[Modality, ...], Field(min_length=1)] = get_args(Modality)
    """Modalities the network reads; the others are absent in training and afterwards."""
    dim: Positive = 256
    """Width of every token after projection."""
    heads: Positive = 4
    """Attention heads of both transformers; must divide dim."""
    feed_forward: Positive = 1024
    """Inner width of the feed-forward blocks."""
    cross_modal_layers: Count = 2
    """Layers of the Cross-Modal Transformer; 0 leaves it out (an ablation)."""
    temporal_layers: Count = 2
    """Layers of the Temporal Transformer; 0 leaves it out (an ablation)."""
    pooling: Literal["cls", "mean", "max", "min"] = "mean"
    """How Audio-Text MemoCMT pools its fused tokens (Khan et al. 2025)."""
    temporal_window: Positive = 16
    """Turns that one turn attends to on one side, itself included."""
    causal: bool = True
    """True: past turns only (streaming). False: past and future turns (offline)."""
    dropout: Probability = 0.1
    """Dropout of both transformers while training."""
    statistics_dropout: tuple[Probability, Probability] = (0.3, 0.5)
    """Dropout before and after the projection of an encoder's layer statistics while training."""

    @property
    def reach(self) -> int:
        """Turns, itself included, that can influence a turn in causal mode."""
        return self.temporal_layers * (self.temporal_window - 1) + 1

    @model_validator(mode="after")
    def _heads_divide_dim(self) -> ModelConfig:
        if self.dim % self.heads:
            raise ValueError(f"heads ({self.heads}) must divide dim ({self.dim})")
        return self


@dataclass(frozen=True, config=ConfigDict(extra="forbid", use_attribute_docstrings=True))
class TokenShape:
    """What one token of a modality holds."""

    dim: Positive
    """Width of one hidden state; 1 for named measurements."""
    layers: Positive = 1
    """Hidden states concatenated in one token."""
    names: tuple[str, ...] | None = None
    """Names of the tokens where each is a measurement and not a moment: a turn then always has
    `len(names)` tokens of width 1, NaN where not measured.
    """

    @model_validator(mode="after")
    def _named_values_are_scalars(self) -> TokenShape:
        if self.names is not None and (self.dim != 1 or self.layers != 1):
            raise ValueError("named tokens hold one value each: dim and layers must be 1")
        return self

    @property
    def width(self) -> int:
        """Numbers in one token."""
        return self.dim * self.layers


class NetworkLosses(Section):
    """Weights of the losses that a network adds to those of its decisions: all are D2GNN's.

    The defaults are those of its authors; 0 leaves a loss out (an ablation).
    """

    joint: AtLeast0 = 0.5
    """Cross entropy of the emotion-aware part of all modalities together."""
    reconstruction: AtLeast0 = 0.05
    """Squared error of each utterance vector rebuilt from its two parts."""
    bottleneck: AtLeast0 = 0.5
    """What the emotion-agnostic part tells of the label, less what it keeps of the input."""
    contrast: AtLeast0 = 1.0
    """Contrast between the prototypes of the emotions."""


class TrainingConfig(Section):
    """How a network is trained on the dialogues of a feature store (AdamW)."""

    seed: Count = 0
    """Seed of all random numbers; on a CPU the same seed gives the same weights."""
    epochs: Positive = 20
    """Passes over the train split at most."""
    patience: Positive = 4
    """Epochs without a better weighted F1 on dev after which training stops."""
    learning_rate: Above0 = 3e-4
    """Peak learning rate of the cosine schedule, except for the text encoder."""
    encoder_learning_rate: Above0 = 3e-5
    """Peak learning rate of a fine-tuned text encoder."""
    weight_decay: AtLeast0 = 0.01
    """Weight decay of AdamW."""
    warmup: Probability = 0.1
    """Share of the steps in which the learning rate rises to its peak."""
    clip: Above0 = 1.0
    """Largest gradient norm."""
    token_budget: Positive = 8192
    """Tokens of all modalities in a batch of dialogues, padding included."""
    turn_budget: Positive = 64
    """Turns in a batch of dialogues, padding included."""
    modality_dropout: Probability = 0.1
    """Probability that a present modality is hidden from a turn; the last one never is."""
    class_balance: Fraction = 0.0
    """Exponent of the inverse class frequency that weights the loss: 0 not at all, 1 in full."""
    prior_correction: Fraction = 0.0
    """Share of the log class frequencies subtracted from the logits after training (Menon et al.
    2021).
    """
    label_smoothing: Probability = 0.05
    """Label smoothing of the loss."""
    weight_average: Probability = 0.0
    """Decay per step of the moving average of the weights, which is then validated and kept; 0
    keeps the weights themselves.
    """
    auxiliary_weight: AtLeast0 = 0.3
    """Weight of the auxiliary losses, one for each modality's own decision."""
    network_losses: NetworkLosses = NetworkLosses()
    """Weights of the losses that a network adds to those of its decisions (D2GNN)."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16 runs the network under autocast."""
    text_encoder: Literal["frozen", "fine-tuned"] = "frozen"
    """frozen reads stored tokens; fine-tuned trains the encoder too, on the words."""
    frozen_layers: Count = 0
    """Lowest layers of a fine-tuned text encoder that are not trained."""
    encoder_dropout: Probability = 0.1
    """Dropout inside a fine-tuned text encoder."""
    sentiment_weight: AtLeast0 = 0.0
    """Weight of the loss of a second head, the sentiment (negative, neutral, positive); 0 = no such
    head.
    """


class PathsConfig(Section):
    """Where the research commands read and write, relative to the working folder."""

    meld: Path = Path("data/MELD")
    """The MELD release, in any of its layouts."""
    features: Path = Path("features/meld")
    """The feature store."""
    checkpoint: Path = Path("checkpoints/meld")
    """The trained network."""
    experiments: Path = Path("experiments")
    """results.csv, results.md and confusion_matrix.png."""


class Config(Section):
    """Everything that is needed to run a checkpoint again."""

    preset: Literal["paper", "embedded"]
    """Which encoders: those of the paper, from the hub, or those embedded in packages."""
    labels: tuple[str, ...] = EMOTIONS
    """The classes in the order of the logits, written by training; no other order runs."""
    audio: AudioConfig
    visual: VisualConfig
    text: TextConfig
    model: ModelConfig = ModelConfig()
    features: dict[Modality, TokenShape] | None = None
    """The stored tokens the network was trained on, written by training; null: those of the
    configured encoders.
    """
    training: TrainingConfig = TrainingConfig()
    paths: PathsConfig = PathsConfig()

    @model_validator(mode="after")
    def _labels_are_ours(self) -> Config:
        if self.labels != EMOTIONS:
            raise ValueError(
                f"labels are {', '.join(self.labels)}, but this program's are {', '.join(EMOTIONS)}"
            )
        return self
