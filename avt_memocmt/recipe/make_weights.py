"""The recipe of the shipped embedded checkpoint, from corpora to a folder, in one command."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import load_file

from avt_memocmt.data.feature_store import FeatureStore
from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.extraction.clip import store_manifest
from avt_memocmt.features.extract_text_features import TEXT_ENCODER_FILE
from avt_memocmt.features.extract_visual_features import FACE_CNN_FILE
from avt_memocmt.models.avt_memocmt import AvtMemoCmt
from avt_memocmt.models.checkpoint import save_checkpoint
from avt_memocmt.models.heads import LayerStatistics
from avt_memocmt.recipe.cross_validation import LeftOut, evaluate_fold, folds
from avt_memocmt.recipe.face import train_face
from avt_memocmt.recipe.fusion import HeldBack, held_back, train_fusion, validation_scores
from avt_memocmt.recipe.novelty_fit import fit_novelty
from avt_memocmt.recipe.settings import Job, RecipeConfig
from avt_memocmt.recipe.sources import Speech, load_sources
from avt_memocmt.recipe.temperatures import fit_temperatures
from avt_memocmt.recipe.test_scores import report_scores
from avt_memocmt.recipe.text import train_text

_log = logging.getLogger(__name__)


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
    scores = {"text": train_text(job), "face": train_face(job)}
    train, validation, test = (load_sources(job, part) for part in ("train", "validation", "test"))
    chosen_by, measured_on = (held_back(part, recipe.pairs) for part in (validation, test))
    model = train_fusion(job, train, chosen_by)
    for parameter in model.parameters():  # as a checkpoint keeps them
        parameter.data = parameter.data.half().float()
    scores["fusion"] = validation_scores(model, chosen_by, model.widths)
    left_out = []
    for fold in folds(train.speech.clips, recipe.branches.audio.folds):
        _log.info("training the branch of sound without %s", fold.name)
        left_out.append(evaluate_fold(job, train.speech, validation.speech, fold))
    calibrate(model, recipe, train.speech, chosen_by, left_out)
    encoders = FeatureStore(work, store_manifest(config, work))
    metrics = {
        "model": "embedded",
        "labels": list(EMOTIONS),
        "seed": job.seed,
        "selection": "best epoch of each stage on the validation parts (see data/corpora.py)",
        "encoders": {m: encoders.encoder_sha256(m) for m in config.model.modalities},
        "validation": scores,
        "test": report_scores(model, config, measured_on),
    }
    trained = {name: load_file(work / name) for name in (TEXT_ENCODER_FILE, FACE_CNN_FILE)}
    folder = work / "checkpoint"
    save_checkpoint(folder, model, config, metrics, trained)
    (folder / "logs").mkdir(exist_ok=True)
    for log in work.glob("*/log.jsonl"):
        shutil.copyfile(log, folder / "logs" / f"{log.parent.name}.jsonl")
    return folder


def calibrate(
    model: AvtMemoCmt,
    recipe: RecipeConfig,
    speech: Speech,
    validation: HeldBack,
    left_out: Sequence[LeftOut],
) -> None:
    """Fit the temperatures of a network and the centroids of its training clips of sound.

    Args:
        model: without either.
        recipe: how the novelty is fitted.
        speech: the clips that were trained on.
        validation: from `held_back`.
        left_out: predictions of the branch of sound on clips that it was not trained on.
    """
    fit_temperatures(model, validation, left_out)
    layers = model.layer_statistics["audio"]
    assert isinstance(layers, LayerStatistics)
    rows = range(len(speech.clips))
    model.novelty["audio"] = fit_novelty(layers, speech, rows, recipe.novelty)
