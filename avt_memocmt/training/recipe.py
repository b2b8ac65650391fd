"""The recipe of the shipped embedded checkpoint, from corpora to a folder, in one command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from avt_memocmt.config import EMBEDDED_PRESET, load_config, save_config
from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.features.extract_text_features import TEXT_ENCODER_FILE
from avt_memocmt.features.extract_visual_features import FACE_CNN_FILE
from avt_memocmt.models.checkpoint import CONFIG_FILE, METRICS_FILE, MODEL_FILE, load_media_model
from avt_memocmt.training import fusion, text
from avt_memocmt.training.calibrate import fit_temperatures
from avt_memocmt.training.face import ROUNDS, train_face
from avt_memocmt.training.report import report_scores
from avt_memocmt.training.text_teacher import TEACHERS

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
    (folder / "logs").mkdir(exist_ok=True)
    for stage in STAGES:
        shutil.copyfile(work / stage / "log.jsonl", folder / "logs" / f"{stage}.jsonl")
    save_config(config, folder / CONFIG_FILE)
    uncalibrated, _ = load_media_model(folder)
    temperatures = fit_temperatures(uncalibrated, fusion.load_sources(data, "select", config, work))
    network = config.model.model_copy(update={"temperatures": temperatures})
    save_config(config.model_copy(update={"model": network}), folder / CONFIG_FILE)
    model, _ = load_media_model(folder)
    report = report_scores(model, fusion.load_sources(data, "report", config, work))
    metrics = {
        "labels": list(EMOTIONS),
        "seed": seed,
        "selection": "best epoch of each stage on the select parts (see data/corpora.py)",
        "select": selected,
        "report": report,
    }
    (folder / METRICS_FILE).write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    return folder
