"""The process that writes a result in another format.

A process of its own: the libraries that it takes stay out of the service, and a long result does
not keep the pages waiting.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avt_memocmt.errors import AvtError
from avt_memocmt.service.child import Child, Message, Pipe
from avt_memocmt.service.exports import REPORT
from avt_memocmt.service.job_files import FACES

if TYPE_CHECKING:
    from avt_memocmt.inference.results import MediaPrediction

LONGEST = 120.0
"""Seconds for one file."""
MOST_MEMORY = 3_000_000_000
"""Bytes of the process."""


class Exporter:
    """Writes one file at a time; the process starts at the first."""

    def __init__(self) -> None:
        self._child = Child(run_exporter, (), MOST_MEMORY)
        self._busy = threading.Lock()

    def stop(self) -> None:
        """End the process."""
        with self._busy:
            self._child.stop()

    def write(self, name: str, prediction: dict[str, Any], result: Path, path: Path) -> None:
        """Write a prediction in a format.

        Args:
            name: of the format.
            prediction: as JSON.
            result: folder of the result, for the faces.
            path: of the file.

        Raises:
            AvtError: it cannot be written.
        """
        message: Message = {
            "format": name,
            "prediction": prediction,
            "result": str(result),
            "path": str(path),
        }
        with self._busy:
            answer = self._child.ask(message, LONGEST)
        if "failed" in answer:
            raise AvtError(answer["failed"])


def run_exporter(pipe: Pipe) -> None:
    """Write files until the service ends."""
    while True:
        asked = pipe.receive()
        try:
            write_export(asked["format"], _prediction(asked), Path(asked["path"]))
        except AvtError as error:
            pipe.send({"failed": str(error)})
        except Exception as error:
            pipe.send({"failed": f"unexpected {type(error).__name__}: {error}"})
        else:
            pipe.send({"done": True})


def _prediction(asked: Message) -> MediaPrediction:
    """The prediction with the pictures of its faces, which JSON does not hold."""
    import cv2
    import numpy as np

    from avt_memocmt.inference.results_json import prediction_from_json

    found = prediction_from_json(asked["prediction"])
    faces = []
    for face in found.faces:
        path = Path(asked["result"]) / FACES / f"{face.id}.jpg"
        picture = cv2.imread(str(path)) if path.is_file() else None
        seen = None if picture is None else np.asarray(picture[..., ::-1], np.uint8)
        faces.append(replace(face, thumbnail=seen))
    return replace(found, faces=tuple(faces))


def write_export(name: str, prediction: MediaPrediction, path: Path) -> None:
    """Write a prediction in one of `downloads`.

    Raises:
        AvtError: it cannot be written.
    """
    if name == REPORT:
        from avt_memocmt.report.prediction_page import write_report

        write_report([prediction], [], path)
    else:
        from avt_memocmt.exports.formats import FORMATS

        FORMATS[name].write(prediction, path)
