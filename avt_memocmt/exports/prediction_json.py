"""The prediction as it is, in JSON."""

from __future__ import annotations

from pathlib import Path

from avt_memocmt.files import write_text_atomically
from avt_memocmt.inference.results import MediaPrediction, to_json
from avt_memocmt.json_files import json_text


def write(prediction: MediaPrediction, path: Path) -> None:
    """Write the object of `predict --json`; docs/prediction.schema.json is its schema."""
    write_text_atomically(path, json_text(to_json(prediction), indent=2) + "\n")
