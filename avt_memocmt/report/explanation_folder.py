"""Writes an explanation into one folder: numbers, figures, faces, a film and the page."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from avt_memocmt.explainability.explanation import MediaExplanation, UtteranceExplanation
from avt_memocmt.files import writable_folder, write_atomically
from avt_memocmt.inference.results import to_json
from avt_memocmt.preprocessing.face_alignment import resize
from avt_memocmt.preprocessing.face_tracker import FaceObservation
from avt_memocmt.report.explanation_json import explanation_json
from avt_memocmt.report.explanation_page import UtterancePictures, write_explanation_report
from avt_memocmt.report.figures.attention import attention_figure
from avt_memocmt.report.figures.common import figure_bytes
from avt_memocmt.report.figures.composite import composite_figure
from avt_memocmt.report.figures.faces import frames_at, overlay, write_overlay_video
from avt_memocmt.report.figures.modalities import dialogue_strip

MAPS = "attention_maps"
FACES = "faces"
THUMBNAIL = 360
"""Longer side of the pictures inside the page, pixels."""

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class ExplainedFace:
    """One face that was read and explained.

    Attributes:
        utterance: index of the utterance, from 0.
        number: of the face in the utterance, from 1.
        seen: where and when.
        scores: [h, w], of the cells of the face.
        peak: the highest score of all faces of the utterance.
    """

    utterance: int
    number: int
    seen: FaceObservation
    scores: NDArray[np.float64]
    peak: float


def write_explanation(
    explanation: MediaExplanation, media: Path, frames_per_second: float, out: Path
) -> None:
    """Write `predictions.json`, `explanation.json`, figures, overlaid faces and `report.html`.

    `overlay.mp4` shows every face that was read, where the media has moving pictures. Files carry
    the numbers of their utterances, from 1; each appears whole or not at all.

    Args:
        explanation: of one input.
        media: that input, which is decoded again for its pictures.
        frames_per_second: at which pictures were read, and are shown.
        out: folder; made where missing.

    Raises:
        AvtError: the folder cannot be written, or the media no longer read.
    """
    for folder in (out, out / MAPS, out / FACES):
        writable_folder(folder)
    prediction = explanation.prediction
    _write_json(out / "predictions.json", [to_json(prediction)], indent=2)
    _write_json(out / "explanation.json", explanation_json(explanation))
    frames = _write_faces(explanation, media, frames_per_second, out)
    pictures = [
        UtterancePictures(*_write_figures(found, out / MAPS), tuple(frames[found.index]))
        for found in explanation.utterances
    ]
    strip = None
    if len(pictures) > 1:
        strip = _write_figure(dialogue_strip(explanation.utterances), out / MAPS / "dialogue")
    write_explanation_report(explanation, pictures, strip, out / "report.html")


def _write_json(path: Path, content: object, indent: int | None = None) -> None:
    text = json.dumps(content, indent=indent, ensure_ascii=False, allow_nan=False)
    write_atomically(path, text.encode())


def _write_figures(found: UtteranceExplanation, folder: Path) -> tuple[bytes, bytes]:
    """Write composite and attention maps, each as PNG and SVG; return the PNGs."""
    name = f"utterance_{found.index + 1}"
    return (
        _write_figure(composite_figure(found), folder / f"{name}_composite"),
        _write_figure(attention_figure(found), folder / f"{name}_attention"),
    )


def _write_figure(figure: Figure, stem: Path) -> bytes:
    png = figure_bytes(figure, "png")
    write_atomically(stem.with_suffix(".png"), png)
    write_atomically(stem.with_suffix(".svg"), figure_bytes(figure, "svg"))
    return png


def _write_faces(
    explanation: MediaExplanation, media: Path, frames_per_second: float, out: Path
) -> dict[int, list[bytes]]:
    """Write overlaid pictures as PNGs and, of a video, as a film.

    Returns:
        Small JPEGs for the page, by the index of the utterance.
    """
    thumbnails: dict[int, list[bytes]] = {found.index: [] for found in explanation.utterances}
    faces = _faces(explanation)
    pictures = _overlaid(faces, media, out / FACES, thumbnails)
    if faces and explanation.prediction.duration > 0:
        write_overlay_video(out / "overlay.mp4", pictures, frames_per_second)
    else:  # a still, or nothing
        deque(pictures, maxlen=0)
    return thumbnails


def _faces(explanation: MediaExplanation) -> list[ExplainedFace]:
    """Every face that was read and explained, in order of time."""
    faces = [
        ExplainedFace(found.index, number, seen, scores, float(attribution.scores.max()))
        for found in explanation.utterances
        if (attribution := found.attributions.get("visual")) is not None
        for number, (seen, scores) in enumerate(
            zip(found.turn.utterance.faces, attribution.scores, strict=True), 1
        )
    ]
    return sorted(faces, key=lambda face: face.seen.time)


def _overlaid(
    faces: Sequence[ExplainedFace], media: Path, folder: Path, thumbnails: dict[int, list[bytes]]
) -> Iterator[Picture]:
    """Yield each face in its picture, in order of time; write it, and keep a small JPEG of it."""
    frames = frames_at(media, [face.seen.time for face in faces])
    for face, frame in zip(faces, frames, strict=True):
        picture = overlay(frame.image, face.seen, face.scores, face.peak)
        name = f"utterance_{face.utterance + 1}_face_{face.number}.png"
        write_atomically(folder / name, _encoded(picture, ".png"))
        scale = min(1.0, THUMBNAIL / max(picture.shape[:2]))
        height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
        thumbnails[face.utterance].append(_encoded(resize(picture, width, height), ".jpg"))
        yield picture


def _encoded(picture: Picture, suffix: str) -> bytes:
    _, data = cv2.imencode(suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return data.tobytes()
