"""The recipe of the shipped embedded checkpoint, from corpora to a folder, in one command."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from avt_memocmt.config import MODALITIES, Config
from avt_memocmt.data.feature_store import FeatureStore
from avt_memocmt.data.labelled_dialogues import LabelledDialogue
from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.evaluation.on_features import evaluate_dialogues
from avt_memocmt.extraction.clip import store_manifest
from avt_memocmt.features.extract_text_features import TEXT_ENCODER_FILE
from avt_memocmt.features.extract_visual_features import FACE_CNN_FILE
from avt_memocmt.metrics.scores import MAIN_SCORES
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.models.checkpoint import save_checkpoint, token_shapes
from avt_memocmt.pretrained import file_sha256
from avt_memocmt.recipe.cross_validation import cross_validate
from avt_memocmt.recipe.face import train_face
from avt_memocmt.recipe.face_start import WEIGHTS_FILE
from avt_memocmt.recipe.fusion import (
    FusionData,
    HeldBack,
    Unheard,
    held_back,
    held_back_conversations,
    settle_trust,
    train_fusion,
    validation_scores,
    weighted_f1_of,
)
from avt_memocmt.recipe.novelty_fit import fit_novelty
from avt_memocmt.recipe.settings import Job
from avt_memocmt.recipe.sources import load_sources
from avt_memocmt.recipe.temperatures import fit_decision_temperatures, fit_unimodal_temperatures
from avt_memocmt.recipe.text import train_text
from avt_memocmt.recipe.unimodal import Hearing, SpeechBranch, all_rows, train_branches


def make_weights(job: Job) -> Path:
    """Train text encoder, face network and fusion in turn, and assemble the checkpoint.

    Every stage that is finished is skipped, and one that was stopped resumes at its last epoch.

    Returns:
        The checkpoint folder, `checkpoint` in the work folder.

    Raises:
        AvtError: a corpus or an encoder's weights are missing.
    """
    work, recipe, config = job.work, job.recipe, job.config
    work.mkdir(parents=True, exist_ok=True)
    validated = {"text": train_text(job), "face": train_face(job)}
    train, validation, test = (load_sources(job, part) for part in ("train", "validation", "test"))
    chosen_by, measured_on = (held_back(part, recipe.pairs) for part in (validation, test))
    model = AvtMemoCmt(token_shapes(config), config.model)
    train_branches(job, model, train, chosen_by, validation.speech)
    left_out = cross_validate(job, train.speech, validation.speech)
    hearings = {part.name: part.hearing for part in left_out if part.kind == "corpus"}
    model.eval()
    known = all_rows(train.speech)
    model.novelty["audio"] = fit_novelty(SpeechBranch(Hearing.of(model)), known, recipe.novelty)
    fit_unimodal_temperatures(model, chosen_by, left_out)
    talks = held_back_conversations(job, train.speech, validation, hearings)
    data = FusionData(train, hearings, chosen_by, talks)
    train_fusion(job, model, data)
    settle_trust(model, recipe.fusion)
    for parameter in model.parameters():  # as a checkpoint keeps them
        parameter.data = parameter.data.half().float()
    validated["fusion"] = validation_scores(model, data)
    fit_decision_temperatures(model, talks)
    spoken = held_back_conversations(job, train.speech, test, hearings)
    assert job.face_start is not None, "without it, the face network was not trained"
    encoders = FeatureStore(work, store_manifest(config, work))
    metrics = {
        "model": "embedded",
        "labels": list(EMOTIONS),
        "seed": job.seed,
        "selection": "best epoch of each stage on the validation parts (see data/corpora.py); "
        "the last of the branch of sound",
        "face_start": file_sha256(job.face_start / WEIGHTS_FILE),
        "encoders": {m: encoders.encoder_sha256(m) for m in config.model.modalities},
        "validation": validated,
        "test": final_figures(model, config, measured_on)
        | {"conversations_against_words": against_words(model, spoken)},
    }
    trained = {name: load_file(work / name) for name in (TEXT_ENCODER_FILE, FACE_CNN_FILE)}
    folder = work / "checkpoint"
    save_checkpoint(folder, model, config, metrics, trained)
    (folder / "logs").mkdir(exist_ok=True)
    for log in work.glob("*/log.jsonl"):
        shutil.copyfile(log, folder / "logs" / f"{log.parent.name}.jsonl")
    return folder


FIGURES = ("n", *MAIN_SCORES, "intervals_95", "recall", "ece")
"""Figures of an `Evaluation` that a checkpoint keeps."""


def final_figures(model: AvtMemoCmt, config: Config, test: HeldBack) -> dict[str, Any]:
    """Figures on the test parts: words of MELD, RAVDESS sound, FER+ faces, and synthetic pairs.

    Args:
        model: in evaluation mode.
        config: of the model.
        test: from `held_back`.
    """
    found: dict[str, Any] = {}
    for kind, dialogues in test.items():
        report = evaluate_dialogues(model, config, dialogues).report()
        found[kind] = {name: report[name] for name in FIGURES}
    found["pairs_against_best_single"] = pairs_against_singles(model, config, test["pairs"])
    return found


def against_words(model: AvtMemoCmt, conversations: Sequence[Unheard]) -> dict[str, float]:
    """Weighted F1 of those turns of conversations that have words: of all modalities, and of words.

    Args:
        model: in evaluation mode.
        conversations: from `held_back_conversations`.
    """
    said = [part.having(("text",)) for part in conversations]
    fused, words = (weighted_f1_of(model, said, given) for given in (MODALITIES, ("text",)))
    return {"all": fused, "words": words, "difference": fused - words}


def pairs_against_singles(
    model: AvtMemoCmt, config: Config, pairs: Sequence[LabelledDialogue]
) -> dict[str, Any]:
    """UAR of all modalities minus that of the best single one on the same synthetic pairs."""
    singles = {
        name: evaluate_dialogues(
            model, config, [pair.only((name,)) for pair in pairs]
        ).probabilities
        for name in MODALITIES
    }
    report = replace(evaluate_dialogues(model, config, pairs), alone=singles).report()
    alone = report["alone"]
    best = max(alone, key=lambda name: float(alone[name]["uar"]))
    gain = alone[best]["fused_minus_alone"]["uar"]
    return {
        "fused_uar": report["uar"],
        "single_uar": {name: figures["uar"] for name, figures in alone.items()},
        "best_single": best,
        "gain": gain["difference"],
        "gain_interval_95": list(gain["interval_95"]),
    }
