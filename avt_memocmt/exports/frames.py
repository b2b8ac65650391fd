"""A tidy table of the faces in every sampled picture, in CSV or Parquet."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from avt_memocmt.errors import AvtError
from avt_memocmt.exports.plain_text import clean
from avt_memocmt.files import write_atomically, write_csv
from avt_memocmt.inference.results import MediaPrediction
from avt_memocmt.inference.results_table import PROBABILITIES, probability_cells

COLUMNS = (
    "media", "time", "until", "face", "speaks", "left", "top", "width", "height", *PROBABILITIES,
)  # fmt: skip
"""See `SampledFace`; times are seconds, boxes are pixels of the picture as it is shown."""


def write(prediction: MediaPrediction, path: Path) -> None:
    """Write one row for each face in each sampled picture.

    Raises:
        AvtError: the faces were not recorded, or as of `write_csv`.
    """
    _require_recorded(prediction)
    rows = (row | {"speaks": int(row["speaks"])} for row in _rows(prediction))
    write_csv(path, COLUMNS, rows)


def write_parquet(prediction: MediaPrediction, path: Path) -> None:
    """Write the same as a Parquet file.

    Raises:
        AvtError: as of `write`.
    """
    import pyarrow as pa
    from pyarrow import parquet

    _require_recorded(prediction)
    types = {"media": pa.string(), "face": pa.string(), "speaks": pa.bool_()}
    schema = pa.schema([(name, types.get(name, pa.float64())) for name in COLUMNS])
    buffer = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(list(_rows(prediction)), schema), buffer)
    write_atomically(path, buffer.getvalue())


def _require_recorded(prediction: MediaPrediction) -> None:
    """Refuse to write as no face what was only not asked for."""
    if prediction.sampled_faces == () and prediction.picture_size is not None:
        raise AvtError(
            f"the faces in the pictures of {prediction.media} were not recorded; predict with "
            'sampled_faces="judged".'
        )


def _rows(prediction: MediaPrediction) -> Iterator[dict[str, Any]]:
    media = clean(prediction.media)
    for face in prediction.sampled_faces:
        left, top, width, height = (round(side, 1) for side in face.box)
        yield {
            "media": media,
            "time": round(face.time, 6),
            "until": round(face.until, 6),
            "face": face.id,
            "speaks": face.speaks,
            "left": left,
            "top": top,
            "width": width,
            "height": height,
            **probability_cells(face.probabilities),
        }
