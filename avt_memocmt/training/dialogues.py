"""Training one network on the dialogues of feature stores: any corpus, any of the networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from safetensors.torch import load_file
from torch import Tensor, nn

from avt_memocmt.config import Config, TrainingConfig
from avt_memocmt.data.descriptor_statistics import value_statistics
from avt_memocmt.data.dialogue_batch import NO_WORDS, collate
from avt_memocmt.data.feature_store import MANIFEST_FILE, FeatureStore
from avt_memocmt.data.labelled_dialogues import (
    LabelledDialogue,
    load_dialogues,
    sentiments_of,
    similar_length_batches,
)
from avt_memocmt.data.set_baselines import with_baselines
from avt_memocmt.data.speaker_baselines import utterance_statistics
from avt_memocmt.emotions import NUM_EMOTIONS
from avt_memocmt.errors import AvtError
from avt_memocmt.features.extract_text_features import TEXT_ENCODER_FILE
from avt_memocmt.features.extract_visual_features import FACE_CNN, FACE_CNN_FILE
from avt_memocmt.metrics.scores import scores_of_counts
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.models.checkpoint import build_model, save_checkpoint, token_dims
from avt_memocmt.models.heads import SpeakerBaseline
from avt_memocmt.models.predict import count_outcomes, score_dialogues
from avt_memocmt.models.projections import NamedTokenProjection
from avt_memocmt.pretrained import file_sha256
from avt_memocmt.training.losses import (
    class_weights,
    correct_prior,
    dialogue_loss,
    sentiment_loss,
    targets_of,
)
from avt_memocmt.training.trainer import Trainer, Validation, make_accelerator
from avt_memocmt.training.tuned_text import WithTextEncoder, trainable_text_encoder

SELECTION = "epoch with the best dev weighted F1"


class DialogueTraining:
    """One training of a network: its data, its batches, its encoder.

    Args:
        config: everything that shapes the run; `config.features` says what the stores hold.
        train: dialogues to learn from.
        dev: dialogues that choose the epoch.
    """

    def __init__(
        self, config: Config, train: Sequence[LabelledDialogue], dev: Sequence[LabelledDialogue]
    ) -> None:
        self.config = config
        train, dev = (with_baselines(part, "past") for part in (train, dev))
        self.train, self.dev = list(train), list(dev)
        if config.training.text_encoder == "fine-tuned":
            turns = config.text.context_turns
            self.train, self.dev = (
                [dialogue.with_context(turns) for dialogue in part] for part in (train, dev)
            )
        self.dims = token_dims(config)
        self.accelerator = make_accelerator()
        set_seed(config.training.seed)
        self.network = build_model(config)
        self._head = getattr(self.network, "head", None)
        if config.training.prior_correction and not isinstance(self._head, nn.Sequential):
            raise AvtError(
                f"training.prior_correction needs one classifier, and {config.model.kind} has "
                "several; set it to 0."
            )
        if config.training.sentiment_weight and (sentiments_of(train) < 0).all():
            raise AvtError(
                "training.sentiment_weight is above 0, but no utterance of the train split has a "
                "sentiment; set it to 0, or make the features again from an index or manifest that "
                "has this label."
            )
        set_statistics(self.network, train)
        if not self.network.in_context:
            # A network that judges a turn by itself learns best from turns of many dialogues.
            self.train = [turn for dialogue in self.train for turn in dialogue.single_turns()]
        self.model: nn.Module = self.network
        if config.training.text_encoder == "fine-tuned":
            encoder = trainable_text_encoder(config.text, config.training)
            self.model = WithTextEncoder(self.network, encoder)
        self._emotions = np.concatenate([dialogue.emotions for dialogue in train])
        self._weights = class_weights(self._emotions, config.training.class_balance)

    def run(self, folder: Path) -> dict[str, float]:
        """Train into `folder`, resuming what is there; returns the dev scores of the best epoch."""
        settings = self.config.training
        steps = len(self._rows(np.random.default_rng(0)))
        best = fit_dialogues(
            self.model,
            folder,
            settings,
            steps,
            self._batches,
            self.dev,
            self.dims,
            weights=self._weights,
            encoder=self.model.encoder if isinstance(self.model, WithTextEncoder) else None,
            accelerator=self.accelerator,
        )
        if not isinstance(self._head, nn.Sequential) or not settings.prior_correction:
            return best
        correct_prior(self._head, self._emotions, settings.prior_correction)
        return {**best, **score_dialogues(self.model, self.dev, self.dims)}

    def _rows(self, generator: np.random.Generator) -> list[list[int]]:
        """The batches of one epoch, as positions in the train split."""
        settings = self.config.training
        return similar_length_batches(
            self.train,
            generator,
            most_tokens=settings.token_budget,
            most_turns=settings.turn_budget,
        )

    def _batches(self, epoch: int) -> Iterator[list[LabelledDialogue]]:
        generator = np.random.default_rng([self.config.training.seed, epoch])
        chance = self.config.training.modality_dropout
        reads_words = isinstance(self.model, WithTextEncoder)
        for rows in self._rows(generator):
            yield [hide_modalities(self.train[row], chance, generator, reads_words) for row in rows]


def fit_dialogues(
    network: nn.Module,
    folder: Path,
    settings: TrainingConfig,
    steps: int,
    batches: Callable[[int], Iterable[Sequence[LabelledDialogue]]],
    validation: Sequence[LabelledDialogue],
    dims: dict[str, int],
    criterion: str = "weighted_f1",
    *,
    weights: Tensor | None = None,
    encoder: nn.Module | None = None,
    accelerator: Accelerator | None = None,
) -> dict[str, float]:
    """Train a network on dialogues in place, with `dialogue_loss`; resumes what is in the folder.

    Args:
        network: a `DialogueNetwork`.
        folder, settings, steps, accelerator, encoder: as of `Trainer`.
        batches: epoch number -> the batches of that epoch.
        validation: dialogues that choose the epoch.
        dims: width of a token of each modality that the network reads.
        criterion: the one of `metrics.scores` by which they choose it.
        weights: float [7], of the classes in the loss; None = all alike.

    Returns:
        The validation scores of the best epoch.
    """
    trainer = Trainer(network, folder, settings, steps, accelerator, encoder)
    device = trainer.device
    weights = None if weights is None else weights.to(device)

    def loss(model: nn.Module, dialogues: Sequence[LabelledDialogue]) -> Tensor:
        batch = collate([dialogue.turns for dialogue in dialogues], dims).to(device)
        targets = targets_of(dialogues).to(device)
        prediction = model(batch.with_targets(targets))
        total = dialogue_loss(prediction, batch, targets, settings, weights)
        if settings.sentiment_weight:
            sentiments = torch.from_numpy(sentiments_of(dialogues)).to(device)
            total = total + settings.sentiment_weight * sentiment_loss(
                prediction, batch, sentiments
            )
        return total

    def judge(model: nn.Module) -> Validation:
        counts = count_outcomes(model, validation, dims)
        found = {name: float(score) for name, score in scores_of_counts(counts).items()}
        return Validation(found, counts[:, :NUM_EMOTIONS].tolist())

    return trainer.run(batches, loss, judge, criterion)


def train_dialogues(
    config: Config,
    stores: Sequence[FeatureStore],
    folder: Path,
    *,
    name: str,
    encoders: Path | None = None,
) -> Path:
    """Train a network on the train split of the stores, selected on their dev split.

    Args:
        config: the settings; its `features` are set from the stores.
        stores: joined by utterance.
        folder: receives the checkpoint, and under `training/` what a stopped run resumes from.
        name: of the model in tables of results.
        encoders: checkpoint whose tuned text encoder and face network made the stored tokens; they
            become part of the new checkpoint.

    Returns:
        The checkpoint folder.

    Raises:
        AvtError: a split or a modality is missing from the stores, or `encoders` are others.
    """
    tuned = config.training.text_encoder == "fine-tuned"
    heard = [m for m in config.model.modalities if not (tuned and m == "text")]
    config = with_features(config, stores, heard)
    kept = _trained_encoders(stores, heard, encoders)
    train, dev = (load_dialogues(stores, split, heard) for split in ("train", "dev"))
    training = DialogueTraining(config, train, dev)
    best = training.run(folder / "training")
    if isinstance(training.model, WithTextEncoder):
        tuned_tensors = training.model.encoder.tuned_tensors()
        kept[TEXT_ENCODER_FILE] = {name: t.half() for name, t in tuned_tensors.items()}
    text = config.text.model_copy(update={"fine_tuned": TEXT_ENCODER_FILE in kept})
    metrics = {
        "model": name,
        "seed": config.training.seed,
        "selection": SELECTION,
        "data": {s.folder.name: file_sha256(s.folder / MANIFEST_FILE) for s in stores},
        "encoders": {
            m: sha256 for s in stores for m in heard if (sha256 := s.encoder_sha256(m)) is not None
        },
        "processes": training.accelerator.num_processes,
        "dev": {key: value for key, value in best.items() if key != "seconds"},
    }
    if training.accelerator.is_main_process:
        config = config.model_copy(update={"text": text})
        save_checkpoint(folder, training.network, config, metrics, kept)
    training.accelerator.wait_for_everyone()
    return folder


def with_features(config: Config, stores: Sequence[FeatureStore], heard: Sequence[str]) -> Config:
    """The config with the shapes of the stored tokens that the network hears.

    Raises:
        AvtError: no store has a modality that the network needs.
    """
    shapes = {m: shape for store in stores for m, shape in store.manifest.modalities.items()}
    missing = [m for m in heard if m not in shapes]
    if missing:
        folders = ", ".join(str(store.folder) for store in stores)
        raise AvtError(
            f"{folders} holds no {' and no '.join(missing)} features; extract them, or leave them "
            "out with --set model.modalities=[...]."
        )
    return config.model_copy(update={"features": {m: shapes[m] for m in heard}})  # type: ignore[index]


def hide_modalities(
    dialogue: LabelledDialogue,
    chance: float,
    generator: np.random.Generator,
    reads_words: bool = False,
) -> LabelledDialogue:
    """Modality dropout: each modality of each turn is hidden by chance, never the last one.

    Args:
        dialogue: with the tokens that the network hears.
        chance: of each modality of each turn.
        generator: source of randomness.
        reads_words: whether the network encodes the words itself, so that they are a modality.
    """
    turns = []
    for turn in dialogue.turns:
        hears_words = reads_words and bool(turn.words.text)
        present = sorted({*turn.tokens, *(["text"] if hears_words else [])})
        lots = dict(zip(present, generator.random(len(present)), strict=True))
        safe = max(lots.values(), default=1.0)
        kept = {m for m, lot in lots.items() if lot >= min(chance, safe)}
        words = turn.words if "text" in kept or not reads_words else NO_WORDS
        turns.append(replace(turn.only(kept), words=words))
    return replace(dialogue, turns=tuple(turns))


def set_statistics(network: nn.Module, train: Sequence[LabelledDialogue]) -> None:
    """Give a network what it must know of the train split.

    Those are the mean and deviation of named values, and the mean of all speakers, from which the
    baseline of one differs.
    """
    for module in network.modules():
        if isinstance(module, NamedTokenProjection):
            mean, deviation = value_statistics(train, module.modality_name)
            module.set_statistics(torch.from_numpy(mean), torch.from_numpy(deviation))
    if isinstance(network, AvtMemoCmt):
        turns = (turn for dialogue in train for turn in dialogue.turns)
        described = [utterance_statistics(turn.tokens) for turn in turns]
        for modality, baseline in network.baselines.items():
            found = [statistics[modality] for statistics in described if modality in statistics]
            assert isinstance(baseline, SpeakerBaseline)
            if found:
                baseline.set_everyone(torch.from_numpy(np.stack(found)))


def _trained_encoders(
    stores: Sequence[FeatureStore], heard: Sequence[str], checkpoint: Path | None
) -> dict[str, dict[str, Tensor]]:
    """By file name, the encoders trained by this project that made the tokens which are heard.

    Raises:
        AvtError: the checkpoint does not hold them.
    """
    made_by = {m: made for s in stores for m, made in s.manifest.extractor.items() if m in heard}
    needed = {TEXT_ENCODER_FILE: made_by.get("text", {}).get("tuned_sha256")}
    if made_by.get("visual", {}).get("name") == FACE_CNN:
        needed[FACE_CNN_FILE] = made_by["visual"]["sha256"]
    found = {}
    for name, sha256 in needed.items():
        if sha256 is None:
            continue
        path = (checkpoint or Path()) / name
        if not path.is_file() or file_sha256(path) != sha256:
            raise AvtError(
                f"the stored tokens were made by a {name} with the SHA-256 {sha256[:12]}...; name "
                "the checkpoint that holds it with --encoders-checkpoint."
            )
        found[name] = load_file(path)
    return found
