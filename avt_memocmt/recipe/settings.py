"""The settings of the recipe of the shipped weights; `embedded.yaml` holds their values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import Field

from avt_memocmt.config import Config, Count, Fraction, Positive, Section, TrainingConfig
from avt_memocmt.config_file import named_problems, read_yaml

EMBEDDED_RECIPE = Path(__file__).parent / "embedded.yaml"


class StageConfig(TrainingConfig):
    """One training of the recipe."""

    patience: Positive = 1000
    """More than any stage has epochs: all are run."""
    batch: Positive
    """Examples of one step: dialogues, clips, faces or lines."""
    runs: Positive = 1
    """Trainings in different orders of the data, which are averaged."""

    def steps(self, examples: int) -> int:
        """Batches of one epoch over so many examples."""
        return math.ceil(examples / self.batch)


Stage = TypeVar("Stage", bound=StageConfig)
Ratio = Annotated[float, Field(gt=0)]


class TeacherConfig(StageConfig):
    """The larger network that teaches the text encoder."""

    tuned_layers: Positive
    """Upper layers that are trained; the output of the lower ones is computed once."""


class TextStageConfig(StageConfig):
    """Fine-tuning of the text encoder."""

    distillation: Fraction
    """Share of the teacher's probabilities in the target; the rest is the label."""
    drop_context: Fraction
    """Share of the lines that lose their context."""
    drop_speakers: Fraction
    """Share of the other lines that lose who spoke the context."""
    hidden_pieces: Fraction
    """Share of the word pieces, context included, that are hidden behind [MASK]."""


class FaceRoundConfig(StageConfig):
    """One rise and fall of the learning rate (warm restarts, Loshchilov and Hutter 2017)."""

    shares: dict[str, Fraction]
    """By corpus, its share of the pictures."""
    pictures: Positive
    """Pictures of one epoch."""
    small_epochs: Count
    """First epochs, on pictures of 80 px, which is faster (Tan and Le 2021, section 4.2)."""


class FaceStageConfig(Section):
    """Training of the face network."""

    rounds: tuple[FaceRoundConfig, ...]
    """Each starts from the chosen weights of the one before."""
    frozen_layers: Count
    """Lowest convolutions that stay as they start: edges and textures of faces."""
    label_noise: dict[str, Fraction]
    """By corpus, share of a label that is spread over all classes."""
    balance: Fraction
    """Exponent of the inverse class frequency by which rows are drawn: 0 as is, 1 balanced."""
    aligned_share: Fraction
    """Share of the training pictures that went through detection and alignment, as in predict."""
    variants: Count
    """Augmented variants of every training picture that the fusion learns from."""


class SpeechBranchConfig(StageConfig):
    """Training of the branch of sound."""

    balance: Fraction
    """Exponent of the inverse frequency of a corpus's emotion by which clips are drawn."""
    variants: Count
    """Augmented variants of every training clip."""
    folds: Positive
    """Trainings without some speakers of each corpus, on which the confidence is calibrated. Each
    speaker is left out of one of them.
    """


class FaceBranchConfig(StageConfig):
    """Training of the branch of faces."""

    pictures: Positive
    """Pictures of one epoch."""


class BranchesConfig(Section):
    """Training of each modality's branch before the fusion."""

    audio: SpeechBranchConfig
    visual: FaceBranchConfig
    text: StageConfig


class FusionStageConfig(StageConfig):
    """Training of the fusion; `batch` counts pairs."""

    batch_dialogues: Positive
    pairs_per_clip: Fraction
    """Share of the clips that are the voice of a synthetic pair."""
    heard: Fraction
    """Share of the voices that are heard by a branch which was trained on them."""
    trust: tuple[Ratio, Ratio, Ratio]
    """Exponents of sound, face and words in the pool of decisions."""
    trust_in_new: tuple[Ratio, Ratio, Ratio]
    """The same where they are unlike the training data."""
    correction: Fraction
    """Share of the learned correction of the pool that is kept."""


class Evidence(Section):
    """How much each modality counts in the target of a pair."""

    audio: Fraction
    visual: Fraction
    text: Fraction


class PairsConfig(Section):
    """Which synthetic pairs are drawn for training."""

    mismatched: Fraction
    """Share whose face or line shows another emotion than the voice."""
    evidence: Evidence
    misheard: Fraction
    """Share whose face and line agree on another emotion than the voice."""
    misheard_evidence: Evidence
    """Evidence in these pairs, where the voice counts little: voices unlike those of the training
    clips are often misjudged, and the pairs' own voices are training clips.
    """


class ConversationConfig(Section):
    """How the turns of MELD's dialogues are given voices and faces; lists are in the order sound,
    face, words.
    """

    agreement: tuple[Fraction, Fraction]
    """Of each dialogue, the largest share of its turns with which voice and face agree."""
    heard_agreement: Fraction
    """The same of voices whose corpus the branch of sound was trained on."""
    apart: Fraction
    """Share of the dialogues whose turns come each alone, as clips without their dialogue do."""
    in_dialogue: tuple[Fraction, Fraction, Fraction]
    """Chance that a dialogue has each modality."""
    lost: tuple[Fraction, Fraction, Fraction]
    """Share of the turns of such a dialogue that lack it."""
    flat: Fraction
    """Share of voices and faces that disagree with a turn by showing nothing."""
    talking: Fraction
    """Share of the frames of a face, at most, that show something else."""
    anyone: Fraction
    """Share of the speakers whose frames show many people: corpora that name nobody are large."""
    voice_tokens: Positive
    """Tokens of a voice at most, 50 a second."""


class NoveltyConfig(Section):
    """How the out-of-distribution score of sound is fitted."""

    components: Positive
    """Principal components of the statistics in which corpora are told apart."""
    principal: Positive
    """The first of them, which are directions by themselves."""
    variants: Positive
    """Variants of the clips by which directions are found, the recordings themselves included."""


class RecipeConfig(Section):
    """All stages of the recipe."""

    text_teacher: TeacherConfig
    text: TextStageConfig
    face: FaceStageConfig
    branches: BranchesConfig
    fusion: FusionStageConfig
    pairs: PairsConfig
    conversations: ConversationConfig
    novelty: NoveltyConfig


@dataclass(frozen=True)
class Job:
    """One run of the recipe, which every stage is given.

    Attributes:
        data: folder with meld/, ravdess/, speech/, ferplus/ and faces/.
        work: folder for feature stores, logs and states, a subfolder each.
        recipe: the settings of every stage.
        config: of the network and its encoders.
        seed: of every random choice.
        teacher: hub id or folder of MPNet, which teaches the text encoder; None: the packages that
            hold it.
        face_start: folder of the network that the face network starts from, see `face_start.py`.
    """

    data: Path
    work: Path
    recipe: RecipeConfig
    config: Config
    seed: int = 0
    teacher: str | None = None
    face_start: Path | None = None

    def runs(self, stage: Stage, name: str) -> list[tuple[Stage, Path]]:
        """The trainings of a stage: its settings with a seed for each, and the folder of each."""
        return [
            (stage.model_copy(update={"seed": 100 * run + self.seed}), self.work / f"{name}_{run}")
            for run in range(stage.runs)
        ]


def load_recipe(path: Path = EMBEDDED_RECIPE) -> RecipeConfig:
    """Read and validate a recipe.

    Raises:
        AvtError: the file is missing, is not YAML, or has an unknown key or a value out of range;
            the message names the key.
    """
    with named_problems(path):
        return RecipeConfig.model_validate(read_yaml(path, "the recipe"))
