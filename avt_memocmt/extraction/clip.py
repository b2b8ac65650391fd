"""One clip to one row of the feature store, by a pure function that any process pool can run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

import torch

from avt_memocmt.config import Config, Modality, TokenShape
from avt_memocmt.data.feature_store import FeatureRow, StoreManifest
from avt_memocmt.data.index import UtteranceRecord
from avt_memocmt.data.manifest import nominal_seconds
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
    """One utterance to extract, with the earlier turns of its dialogue, oldest first."""

    record: UtteranceRecord
    context: tuple[ContextTurn, ...] = ()


def extract_clip(clip: ClipSpec, config: Config, checkpoint: Path | None = None) -> FeatureRow:
    """Encode the modalities of one utterance that `config.model.modalities` names.

    The row depends on nothing but the arguments and the files they name. Encoders are loaded once
    per process.

    Args:
        clip: the utterance; without media, only its words are encoded.
        config: encoders and preprocessing.
        checkpoint: folder of the encoders that this project trained; see `default_checkpoint`.

    Raises:
        AvtError: weights are missing, the media cannot be read, or nothing is in it.
    """
    encoders, detector = _tools(config.model_dump_json(), checkpoint)
    record = clip.record
    read = _utterance(record, config, detector)
    utterance = replace(read, text=record.text, speaker=record.speaker)
    tokens, warnings = encode_utterance(encoders, config, utterance, clip.context)
    if not tokens and not record.text:
        raise AvtError(
            f"{record.path or record.key} holds nothing to encode: no audible sound, no face and "
            "no words were found."
        )
    seconds = utterance.end - utterance.start
    return FeatureRow(
        record.key,
        record.speaker,
        record.text,
        record.emotion,
        seconds,
        tokens,
        warnings,
        record.sentiment,
    )


def default_checkpoint(config: Config) -> Path | None:
    """The shipped checkpoint, for a config with encoders that this project trained; else None."""
    tuned_text = config.text.encoder.name in PACKAGED and config.text.fine_tuned
    needs_it = config.visual.encoder.name == FACE_CNN or tuned_text
    return CHECKPOINTS / "embedded" if needs_it else None


def store_manifest(config: Config, checkpoint: Path | None = None) -> StoreManifest:
    """The manifest of a store with rows of `extract_clip`; it is the same on every machine.

    Raises:
        AvtError: weights are missing, or the config reads imported measurements.
    """
    encoders, _ = _tools(config.model_dump_json(), checkpoint)
    used = {name: getattr(encoders, name) for name in _wanted(config)}
    extractor = {name: dict(encoder.identity) for name, encoder in used.items()}
    if "audio" in extractor:
        extractor["audio"]["rate"] = getattr(encoders.audio, "rate", None)
    return StoreManifest(
        package_version=__version__,
        modalities={name: TokenShape(used[name].dim, used[name].layers) for name in used},
        extractor=extractor,
        preprocessing=_preprocessing(config),
    )


def _preprocessing(config: Config) -> dict[str, Any]:
    """The settings that shape what the encoders see, for the modalities that are extracted."""
    unused = {"encoder", "fine_tuned", "max_seconds"}
    if not config.audio.voice_activity:
        unused.add("segmentation")
    found: dict[str, Any] = {"max_seconds": config.audio.max_seconds}
    for name in _wanted(config):
        found[name] = getattr(config, name).model_dump(mode="json", exclude=unused)
    if "text" in found and config.text.align_words:
        found["text"]["aligner_sha256"] = PACKAGED["hama-ctc"].sha256
    return found


def _wanted(config: Config) -> list[Modality]:
    """The modalities to extract, in the order of the store's columns."""
    for name, shape in (config.features or {}).items():
        if name in config.model.modalities and shape.names is not None:
            raise AvtError(
                f"this configuration reads imported {name} measurements, which no encoder makes "
                f"from media; leave {name} out with --modalities."
            )
    return [name for name in get_args(Modality) if name in config.model.modalities]


@lru_cache(maxsize=1)
def _tools(settings: str, checkpoint: Path | None) -> tuple[Encoders, FaceDetector | None]:
    """Encoders and face detector for a config in JSON, on the GPU if there is one."""
    config = Config.model_validate_json(settings)
    encoders = load_encoders(config, checkpoint, config.model.modalities)
    if torch.cuda.is_available():
        for encoder in encoders.networks:
            encoder.to("cuda")
    wanted = "visual" in config.model.modalities
    return encoders, make_detector(config.visual.detector) if wanted else None


def _utterance(record: UtteranceRecord, config: Config, detector: FaceDetector | None) -> Utterance:
    """Sound and faces of an utterance; nothing is decoded for words alone."""
    if record.path is not None and set(config.model.modalities) != {"text"}:
        return read_clip(record.path, config, detector, record.start, record.end)
    return Utterance(0.0, _seconds(record, config), None, (), is_speech=False)


def _seconds(record: UtteranceRecord, config: Config) -> float:
    """Length of an utterance that is not decoded, from its file, its times or its words."""
    length = media_seconds(record.path) if record.path is not None else None
    if record.end is not None:
        length = record.end if length is None else min(length, record.end)
    if length is None or length <= record.start:
        return nominal_seconds(record.text)
    return min(length - record.start, config.audio.max_seconds)
