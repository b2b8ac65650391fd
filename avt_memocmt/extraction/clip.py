"""One clip in, one row of the feature store out: a pure function, fit for any process pool."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

import torch

from avt_memocmt.config import Config, Modality, TokenShape
from avt_memocmt.data.feature_store import FeatureRow, StoreManifest
from avt_memocmt.data.index import UtteranceRecord
from avt_memocmt.data.manifest import SECONDS_PER_WORD
from avt_memocmt.errors import AvtError
from avt_memocmt.features.extract_visual_features import FACE_CNN
from avt_memocmt.features.text_encoder import ContextTurn
from avt_memocmt.inference.clips import media_seconds, read_clip
from avt_memocmt.inference.encoding import Encoders, encode_utterance, load_encoders
from avt_memocmt.inference.utterances import Utterance
from avt_memocmt.preprocessing.face_detectors import FaceDetector, make_detector
from avt_memocmt.pretrained import CHECKPOINTS, PACKAGED
from avt_memocmt.version import __version__


@dataclass(frozen=True)
class ClipSpec:
    """One utterance to extract.

    Attributes:
        record: where it lies, and its words.
        context: earlier turns of its dialogue, oldest first.
    """

    record: UtteranceRecord
    context: tuple[ContextTurn, ...] = ()


def extract_clip(clip: ClipSpec, config: Config, checkpoint: Path | None = None) -> FeatureRow:
    """Tokens of one utterance by the encoders of a config; the modalities are `model.modalities`.

    The row depends on nothing but the arguments and the files they name. Encoders are loaded once
    per process.

    Args:
        clip: the utterance; one without media has its words alone.
        config: names encoders and preprocessing.
        checkpoint: folder of the encoders that this project trained; see `default_checkpoint`.

    Raises:
        AvtError: weights are missing, the media cannot be read, or nothing is in it.
    """
    encoders, detector = _tools(config.model_dump_json(), checkpoint)
    record = clip.record
    utterance = replace(
        _utterance(record, config, detector), text=record.text, speaker=record.speaker
    )
    tokens, warnings = encode_utterance(encoders, config, utterance, clip.context)
    if not tokens and not record.text:
        raise AvtError(
            f"{record.path or record.key} holds nothing to encode: no audible sound, no face and "
            "no words were found."
        )
    return FeatureRow(
        record.key,
        record.speaker,
        record.text,
        record.emotion,
        utterance.end - utterance.start,
        tokens,
        warnings,
    )


def default_checkpoint(config: Config) -> Path | None:
    """Folder of the encoders that this project trained: the shipped one where a config needs it."""
    tuned_text = config.text.encoder.name in PACKAGED and config.text.fine_tuned
    needs_it = config.visual.encoder.name == FACE_CNN or tuned_text
    return CHECKPOINTS / "embedded" if needs_it else None


def store_manifest(config: Config, checkpoint: Path | None = None) -> StoreManifest:
    """What a store of `extract_clip`'s rows says about itself, the same on every machine.

    Raises:
        AvtError: weights are missing, or the config reads imported measurements.
    """
    encoders, _ = _tools(config.model_dump_json(), checkpoint)
    shapes: dict[Modality, TokenShape] = {}
    extractor: dict[Modality, dict[str, Any]] = {}
    for name in _wanted(config):
        encoder = getattr(encoders, name)
        shapes[name] = TokenShape(dim=encoder.dim, layers=encoder.layers)
        extractor[name] = dict(encoder.identity)
    if "audio" in extractor:
        extractor["audio"]["rate"] = getattr(encoders.audio, "rate", None)
    return StoreManifest(
        package_version=__version__,
        modalities=shapes,
        extractor=extractor,
        preprocessing=_preprocessing(config),
    )


def _preprocessing(config: Config) -> dict[str, Any]:
    """The settings that shape what the encoders see, for the modalities that are extracted."""
    unused = {"encoder", "max_seconds"} | (
        set() if config.audio.voice_activity else {"segmentation"}
    )
    sections = {
        "audio": config.audio.model_dump(mode="json", exclude=unused),
        "visual": config.visual.model_dump(mode="json", exclude={"encoder"}),
        "text": config.text.model_dump(mode="json", exclude={"encoder", "fine_tuned"}),
    }
    if config.text.align_words:
        sections["text"]["aligner_sha256"] = PACKAGED["hama-ctc"].sha256
    kept: dict[str, Any] = {name: sections[name] for name in _wanted(config)}
    return {"max_seconds": config.audio.max_seconds, **kept}


def _wanted(config: Config) -> list[Modality]:
    """The modalities to extract, in one fixed order, which is that of the store's columns."""
    for name, shape in (config.features or {}).items():
        if name in config.model.modalities and shape.names is not None:
            raise AvtError(
                f"this configuration reads imported {name} measurements, which no encoder makes "
                f"from media; leave {name} out with --modalities."
            )
    return [name for name in get_args(Modality) if name in config.model.modalities]


@lru_cache(maxsize=1)
def _tools(settings: str, checkpoint: Path | None) -> tuple[Encoders, FaceDetector | None]:
    """Encoders and detector of a config in JSON, on the accelerator if there is one."""
    config = Config.model_validate_json(settings)
    encoders = load_encoders(config, checkpoint, config.model.modalities)
    if torch.cuda.is_available():
        for encoder in (encoders.audio, encoders.visual, encoders.text):
            if encoder is not None:
                encoder.to("cuda")
    wanted = "visual" in config.model.modalities
    return encoders, make_detector(config.visual.detector) if wanted else None


def _utterance(record: UtteranceRecord, config: Config, detector: FaceDetector | None) -> Utterance:
    """The raw material of a clip; no more of it is decoded than the modalities need."""
    if record.path is not None and set(config.model.modalities) != {"text"}:
        return read_clip(record.path, config, detector, record.start, record.end)
    return Utterance(0.0, _seconds(record, config), None, (), is_speech=False)


def _seconds(record: UtteranceRecord, config: Config) -> float:
    """Length of an utterance that is not decoded: by its file, its times, or its words."""
    length = media_seconds(record.path) if record.path is not None else None
    if record.end is not None:
        length = record.end if length is None else min(length, record.end)
    if length is None or length <= record.start:
        return SECONDS_PER_WORD * max(1, len(record.text.split()))
    return min(length - record.start, config.audio.max_seconds)
