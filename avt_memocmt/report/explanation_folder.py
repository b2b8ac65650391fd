"""Writes an explanation into one folder: numbers, figures, faces, a video and the page."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Sequence
from operator import itemgetter
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from avt_memocmt.explainability.explanation import MediaExplanation, UtteranceExplanation
from avt_memocmt.files import writable_folder, write_atomically
from avt_memocmt.inference.results import to_json
from avt_memocmt.preprocessing.face_alignment import resize
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
    for folder in (out, out / MAPS):
        writable_folder(folder)
    prediction = explanation.prediction
    _write_json(out / "predictions.json", [to_json(prediction)], indent=2)
    _write_json(out / "explanation.json", explanation_json(explanation))
    frames = write_faces(explanation, media, frames_per_second, out)
    pictures = [
        UtterancePictures(
            _write_figure(composite_figure(found), out / MAPS, f"{_name(found)}_composite"),
            write_attention_map(found, out / MAPS),
            tuple(frames[found.index]),
        )
        for found in explanation.utterances
    ]
    strip = None
    if len(pictures) > 1:
        strip = _write_figure(dialogue_strip(explanation.utterances), out / MAPS, "dialogue")
    write_explanation_report(explanation, pictures, strip, out / "report.html")


def _write_json(path: Path, content: object, indent: int | None = None) -> None:
    text = json.dumps(content, indent=indent, ensure_ascii=False, allow_nan=False)
    write_atomically(path, text.encode())


def _name(found: UtteranceExplanation) -> str:
    """What the names of an utterance's files begin with."""
    return f"utterance_{found.index + 1}"


def _write_figure(figure: Figure, folder: Path, name: str) -> bytes:
    """Write a figure as PNG and SVG; return the PNG."""
    png = figure_bytes(figure, "png")
    write_atomically(folder / f"{name}.png", png)
    write_atomically(folder / f"{name}.svg", figure_bytes(figure, "svg"))
    return png


def write_attention_map(found: UtteranceExplanation, folder: Path) -> bytes:
    """Write the attention maps of an utterance as PNG and SVG; return the PNG."""
    return _write_figure(attention_figure(found), folder, f"{_name(found)}_attention")


def write_faces(
    explanation: MediaExplanation, media: Path, frames_per_second: float, out: Path
) -> dict[int, list[bytes]]:
    """Write the pictures with heat on their faces as PNGs and, of a video, as an MP4 too.

    Arguments and errors are those of `write_explanation`.

    Returns:
        Small JPEGs for the page, by the index of the utterance.
    """
    writable_folder(out / FACES)
    thumbnails: dict[int, list[bytes]] = {found.index: [] for found in explanation.utterances}
    faces = [
        (face.time, found, index)
        for found in explanation.utterances
        if "visual" in found.attributions
        for index, face in enumerate(found.turn.utterance.faces)
    ]
    faces.sort(key=itemgetter(0))
    pictures = _overlaid(faces, media, out / FACES, thumbnails)
    if faces and explanation.prediction.duration > 0:
        write_overlay_video(out / "overlay.mp4", pictures, frames_per_second)
    else:  # a still, or nothing
        deque(pictures, maxlen=0)
    return thumbnails


def _overlaid(
    faces: Sequence[tuple[float, UtteranceExplanation, int]],
    media: Path,
    folder: Path,
    thumbnails: dict[int, list[bytes]],
) -> Iterator[Picture]:
    """Yield each face in its picture, in order of time; write it, and keep a small JPEG of it.

    Args:
        faces: time, utterance, and index of the face in it.
    """
    frames = frames_at(media, [time for time, _, _ in faces])
    for (_, found, index), frame in zip(faces, frames, strict=True):
        scores = found.attributions["visual"].scores
        seen = found.turn.utterance.faces[index]
        picture = overlay(frame.image, seen, scores[index], float(scores.max()))
        write_atomically(folder / f"{_name(found)}_face_{index + 1}.png", _encoded(picture, ".png"))
        scale = min(1.0, THUMBNAIL / max(picture.shape[:2]))
        height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
        thumbnails[found.index].append(_encoded(resize(picture, width, height), ".jpg"))
        yield picture


def _encoded(picture: Picture, suffix: str) -> bytes:
    _, data = cv2.imencode(suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return data.tobytes()
