"""Measures a checkpoint on the labelled dialogues of feature stores."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import nn

from avt_memocmt.config import Config, TokenShape
from avt_memocmt.data.baseline_scope import BaselineScope
from avt_memocmt.data.feature_store import FeatureStore
from avt_memocmt.data.labelled_dialogues import LabelledDialogue, labels_of, load_dialogues
from avt_memocmt.data.set_baselines import with_baselines
from avt_memocmt.errors import AvtError
from avt_memocmt.evaluation.evaluation import Evaluation
from avt_memocmt.evaluation.provenance import (
    Provenance,
    checkpoint_provenance,
    data_sha256,
    with_scope,
)
from avt_memocmt.features.extract_text_features import TEXT_ENCODER_FILE, make_text_encoder
from avt_memocmt.features.text_encoder import TextEncoder
from avt_memocmt.models.checkpoint import load_model, read_metrics, token_dims, token_shapes
from avt_memocmt.models.predict import predict_dialogues
from avt_memocmt.pretrained import file_sha256


def evaluate_stores(
    folder: Path,
    stores: Sequence[FeatureStore],
    split: str,
    modalities: Sequence[str] | None = None,
    speaker_baseline: BaselineScope = "past",
) -> tuple[Evaluation, Provenance]:
    """Measure a checkpoint on one split of feature stores.

    Args:
        folder: of the checkpoint.
        stores: joined by utterance.
        split: "train", "dev", "test", or another name.
        modalities: those that are read, the others are absent; all that the network hears unless
            given.
        speaker_baseline: which utterances of its speaker in the split one is judged against.

    Raises:
        AvtError: the checkpoint cannot be loaded or was trained on other features or labels, or
            the stores lack the split, a modality, every label, or the speakers that are needed.
    """
    model, config = load_model(folder)
    heard = config.model.modalities if modalities is None else modalities
    dialogues = checkpoint_dialogues(folder, config, stores, split, heard)
    evaluation = evaluate_dialogues(model, config, with_baselines(dialogues, speaker_baseline))
    data = data_sha256(evaluation, describe_features(stores))
    provenance = checkpoint_provenance(folder, config, split, data)
    return evaluation, with_scope(provenance, speaker_baseline)


def evaluate_dialogues(
    model: nn.Module, config: Config, dialogues: Sequence[LabelledDialogue]
) -> Evaluation:
    """Predict whole dialogues and keep the turns that have a label.

    Args:
        model: in evaluation mode.
        config: of the model.
        dialogues: from `load_dialogues`, with the modalities that the model hears.

    Raises:
        AvtError: no turn has a label.
    """
    found = predict_dialogues(model, dialogues, token_dims(config))
    sentiments = found.sentiment_logits
    return Evaluation.of(
        dialogues,
        found.logits.softmax(dim=1).numpy(),
        None if sentiments is None else sentiments.softmax(dim=1).numpy(),
    )


def describe_features(stores: Sequence[FeatureStore]) -> list[str]:
    """The stores' manifests, which say what made the features; for `data_sha256`.

    A tuned text encoder belongs to the network, whose own hash is stated, and is left out: so the
    seeds of one network were measured on the same data.
    """
    found = []
    for store in stores:
        manifest = json.loads(store.manifest.model_dump_json())
        for made_by in manifest["extractor"].values():
            made_by.pop("tuned_sha256", None)
        found.append(json.dumps(manifest, sort_keys=True))
    return found


def checkpoint_dialogues(
    folder: Path,
    config: Config,
    stores: Sequence[FeatureStore],
    split: str,
    modalities: Sequence[str],
) -> list[LabelledDialogue]:
    """The dialogues of a split; a checkpoint with its own text encoder encodes the words anew.

    Arguments and errors are those of `evaluate_stores`; `config` is the checkpoint's.
    """
    own_text = config.text.fine_tuned and "text" in modalities and not _has_text_of(folder, stores)
    stored = [name for name in modalities if not own_text or name != "text"]
    _require_known_features(folder, config, stores, stored)
    dialogues = load_dialogues(stores, split, stored)
    if not own_text:
        return dialogues
    encoder = make_text_encoder(config.text, folder)
    return [_with_text(dialogue, encoder) for dialogue in dialogues]


def _has_text_of(folder: Path, stores: Sequence[FeatureStore]) -> bool:
    """Whether stored text tokens were made by the checkpoint's own text encoder."""
    made_by = {s.manifest.extractor.get("text", {}).get("tuned_sha256") for s in stores}
    path = folder / TEXT_ENCODER_FILE
    return path.is_file() and file_sha256(path) in made_by


def _with_text(dialogue: LabelledDialogue, encoder: TextEncoder) -> LabelledDialogue:
    found = encoder.encode([turn.words for turn in dialogue.turns])
    turns = (
        replace(turn, tokens={**turn.tokens, "text": tokens}) if len(tokens) else turn
        for turn, tokens in zip(dialogue.turns, found, strict=True)
    )
    return replace(dialogue, turns=tuple(turns))


def _require_known_features(
    folder: Path, config: Config, stores: Sequence[FeatureStore], modalities: Sequence[str]
) -> None:
    """Check that the stored tokens are like those that the network was trained on.

    Raises:
        AvtError: they have other shapes (the differing keys are named) or labels, or were made by
            other encoders or after other preprocessing.
    """
    labels = labels_of(stores)
    if labels != config.labels:
        raise AvtError(
            f"the checkpoint tells {', '.join(config.labels)} apart, and {stores[0].folder} has "
            f"the labels {', '.join(labels)}; give the features that it was trained on."
        )
    shapes = token_shapes(config)
    encoders = read_metrics(folder).get("encoders", {})
    held = [(s, name) for s in stores for name in modalities if name in s.manifest.modalities]
    different = [
        f"{name}.{difference}"
        for store, name in held
        if name in shapes
        for difference in _differences(store.manifest.modalities[name], shapes[name])
    ]
    if different:
        folders = ", ".join(str(store.folder) for store in stores)
        raise AvtError(
            f"the checkpoint was trained on other features than those of {folders}: "
            f"{'; '.join(different)}. Give the features that it was trained on."
        )
    for store, name in held:
        stored = store.encoder_sha256(name)
        if stored is not None and encoders.get(name, stored) != stored:
            raise AvtError(
                f"the {name} tokens of {store.folder} were made by another encoder, or after "
                "other preprocessing, than those that the checkpoint was trained on; give the "
                "features that it was trained on."
            )


def _differences(stored: TokenShape, trained: TokenShape) -> list[str]:
    """What differs, such as "dim is 6 there and 8 in the checkpoint"."""
    found = [
        f"{key} is {getattr(stored, key)} there and {getattr(trained, key)} in the checkpoint"
        for key in ("dim", "layers")
        if getattr(stored, key) != getattr(trained, key)
    ]
    here, there = stored.names or (), trained.names or ()
    if here != there:
        lone = sorted(set(here).symmetric_difference(there))
        found.append(f"names differ in {', '.join(lone) if lone else 'their order'}")
    return found
