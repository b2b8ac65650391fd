"""The recipe of the shipped embedded checkpoint, from corpora to a folder, in one command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch

from avt_memocmt.config import Config
from avt_memocmt.config_file import EMBEDDED_PRESET, load_config, save_config
from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.features.extract_text_features import TEXT_ENCODER_FILE
from avt_memocmt.features.extract_visual_features import FACE_CNN_FILE
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.models.checkpoint import (
    CONFIG_FILE,
    METRICS_FILE,
    MODEL_FILE,
    load_media_model,
    save_tensors,
    token_shapes,
)
from avt_memocmt.models.heads import LayerStatistics
from avt_memocmt.recipe import examples as fusion_data
from avt_memocmt.recipe import fusion, text
from avt_memocmt.recipe.cross_validation import evaluate_fold, folds
from avt_memocmt.recipe.face import ROUNDS, train_face
from avt_memocmt.recipe.novelty_fit import fit_novelty
from avt_memocmt.recipe.temperatures import fit_temperatures
from avt_memocmt.recipe.test_scores import report_scores
from avt_memocmt.recipe.text_teacher import TEACHERS

STAGES = (
    *(f"text_teacher_{run}" for run in range(TEACHERS)),
    *(f"text_{run}" for run in range(text.RUNS)),
    *(plan.folder for plan in ROUNDS),
    "audio_branch",
    "visual_branch",
    "text_branch",
    *(f"fusion_{run}" for run in range(fusion.RUNS)),
)
"""Subfolders of the work folder, in the order in which they are trained."""


def train_embedded(data: Path, work: Path, seed: int, teacher: str | None) -> Path:
    """Train text encoder, face network and fusion in turn, and assemble the checkpoint.

    Every stage that is finished is skipped, and one that was stopped resumes at its last epoch.

    Args:
        data: folder with meld/, ravdess/, speech/ and ferplus/.
        work: folder for caches, logs and states; the checkpoint lands in `work/checkpoint`.
        seed: of every random choice.
        teacher: hub id or folder of MPNet, which teaches the text encoder; None: the packages that
            hold it.

    Returns:
        The checkpoint folder.

    Raises:
        AvtError: a corpus or an encoder's weights are missing.
    """
    config = load_config(EMBEDDED_PRESET)
    work.mkdir(parents=True, exist_ok=True)
    selected = {
        "text": text.train_text(data, work, config.text, teacher, seed),
        "face": train_face(data, work, seed),
        "fusion": fusion.train_fusion(data, work, config, seed),
    }
    folder = work / "checkpoint"
    folder.mkdir(exist_ok=True)
    for name in (TEXT_ENCODER_FILE, FACE_CNN_FILE, MODEL_FILE):
        shutil.copyfile(work / name, folder / name)
    for stage in STAGES:
        _keep_log(work / stage, folder)
    save_config(config, folder / CONFIG_FILE)
    calibrate(data, work, config, folder, seed)
    model, _ = load_media_model(folder)
    report = report_scores(model, fusion.load_sources(data, "test", config, work))
    metrics = {
        "labels": list(EMOTIONS),
        "seed": seed,
        "selection": "best epoch of each stage on the select parts (see data/corpora.py)",
        "validation": selected,
        "test": report,
    }
    (folder / METRICS_FILE).write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    return folder


def calibrate(data: Path, work: Path, config: Config, folder: Path, seed: int) -> None:
    """Add to a checkpoint its temperatures and where the training clips of sound lie.

    Args:
        data, work, seed: as of `train_embedded`.
        config: without temperatures.
        folder: with the weights and this configuration; both are written anew.
    """
    speech = fusion_data.load_speech(data, "train", config, work)
    select = fusion.load_sources(data, "validation", config, work)
    left_out = []
    for fold in folds(speech.clips):
        print(f"the branch of sound without {fold.name}", flush=True)
        stage = work / f"without_{fold.name}"
        left_out.append(evaluate_fold(speech, select.speech, config, fold, stage, seed))
        _keep_log(stage, folder)
    uncalibrated, _ = load_media_model(folder)
    temperatures = fit_temperatures(uncalibrated, select, left_out)
    network = config.model.model_copy(update={"temperatures": temperatures})
    calibrated = AvtMemoCmt(token_shapes(config), network)
    layers = uncalibrated.layer_statistics["audio"]
    assert isinstance(layers, LayerStatistics)
    known = fit_novelty(layers, speech, range(len(speech.clips)))
    calibrated.load_state_dict(
        {**uncalibrated.state_dict(), **known.state_dict(prefix="novelty.audio.")}
    )
    save_tensors(calibrated.state_dict(), folder / MODEL_FILE, torch.float16)
    save_config(config.model_copy(update={"model": network}), folder / CONFIG_FILE)


def _keep_log(stage: Path, checkpoint: Path) -> None:
    logs = checkpoint / "logs"
    logs.mkdir(exist_ok=True)
    shutil.copyfile(stage / "log.jsonl", logs / f"{stage.name}.jsonl")
