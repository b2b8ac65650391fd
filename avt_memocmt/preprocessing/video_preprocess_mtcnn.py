"""From a video to the aligned faces of one person, as files or for an utterance."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avt_memocmt.as_program import run_command
from avt_memocmt.files import make_folder, write_atomically
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.media.types import VideoFrame
from avt_memocmt.preprocessing.face_detectors import make_detector
from avt_memocmt.preprocessing.face_tracker import (
    FaceObservation,
    FaceTracker,
    crop_still,
)
from avt_memocmt.preprocessing.video_preprocess import write_picture

_THUMBNAIL = 16
"""Side of the pictures that are compared, pixels: small, so that noise does not count."""


def extract_faces(
    path: str | Path,
    out_dir: str | Path,
    detector: str = "mtcnn",
    frames_per_second: float = 4.0,
) -> list[dict[str, Any]]:
    """Write the followed face of a video, or the largest face of a still, as aligned JPEGs.

    Each crop is `<milliseconds>.jpg`, eight digits; `faces.json` lists for each its file, time
    (seconds), box and landmarks (pixels; null where a small still was taken as a face), score,
    n_faces and track. Files appear whole or not at all, the list last.

    Args:
        path: a video or an image.
        out_dir: folder for the crops; made where missing.
        detector: "mtcnn" or "yunet".
        frames_per_second: pictures sampled each second.

    Returns:
        The content of `faces.json`.

    Raises:
        AvtError: the media cannot be read or has no pictures, or the folder cannot be written.
    """
    faces = followed_faces(path, detector, frames_per_second)
    folder = make_folder(out_dir)
    rows = [_write_crop(seen, folder) for seen in faces]
    write_atomically(folder / "faces.json", json.dumps(rows, indent=1).encode())
    return rows


def followed_faces(
    path: str | Path, detector: str = "mtcnn", frames_per_second: float = 4.0
) -> Iterator[FaceObservation]:
    """Yield the followed face of a video in order of time, or the largest face of a still.

    Arguments and errors are those of `extract_faces`.
    """
    finder = make_detector(detector)
    tracker = FaceTracker(finder, count_all=True)
    with MediaReader(path, frames_per_second, only="video") as reader:
        is_still = reader.info.kind == "image"
        for frame in reader.events():
            if not isinstance(frame, VideoFrame):
                continue
            seen = crop_still(frame.image, finder)[0] if is_still else tracker.push(frame)
            if seen is not None:
                yield seen


def _write_crop(seen: FaceObservation, folder: Path) -> dict[str, Any]:
    """Write one crop and return its row for `faces.json`."""
    face = seen.face
    return {
        "file": write_picture(folder, seen.time, seen.crop).name,
        "time": round(seen.time, 4),
        "box": None if face is None else [round(value, 2) for value in face.box],
        "landmarks": None if face is None else np.round(face.landmarks.astype(float), 2).tolist(),
        "score": None if face is None else round(face.score, 4),
        "n_faces": seen.n_faces,
        "track": seen.track,
    }


def changed_faces(faces: Sequence[FaceObservation], least: float) -> list[FaceObservation]:
    """Return the first face, and each that differs from the last one kept by person or look.

    Args:
        faces: of one utterance, in time order.
        least: smallest mean absolute difference of two aligned faces that count as different, of
            255 grey levels; 0 keeps all.
    """
    kept: list[FaceObservation] = []
    last = np.zeros(0, np.float32)
    for face in faces:
        look = _thumbnail(face.crop)
        if not kept or face.track != kept[-1].track or float(abs(look - last).mean()) >= least:
            kept.append(face)
            last = look
    return kept


def _thumbnail(crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.float32)


if __name__ == "__main__":
    run_command("preprocess", "faces")
