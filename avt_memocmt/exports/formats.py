"""The formats that predictions are exported in, by their names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from avt_memocmt.errors import AvtError
from avt_memocmt.exports import (
    audacity,
    eaf,
    frames,
    label_studio,
    prediction_json,
    rttm,
    srt,
    table,
    textgrid,
    vtt,
    web_annotation,
)
from avt_memocmt.exports.media_link import file_name
from avt_memocmt.exports.plain_text import one_line
from avt_memocmt.inference.results import MediaPrediction
from avt_memocmt.inference.sampled_faces import RecordFaces


@dataclass(frozen=True)
class Format:
    """How a prediction is written as a file.

    Attributes:
        suffix: of the file's name; no two formats have the same.
        media_type: of the file, for a server.
        write: writes a prediction whole or not at all; raises AvtError.
        needs_faces: whether the prediction must hold its sampled faces, judged.
    """

    suffix: str
    media_type: str
    write: Callable[[MediaPrediction, Path], None]
    needs_faces: bool = False


FORMATS: Mapping[str, Format] = {
    "json": Format(".json", "application/json", prediction_json.write),
    "csv": Format(".csv", "text/csv", table.write),
    "frames": Format(".frames.csv", "text/csv", frames.write, needs_faces=True),
    "frames-parquet": Format(
        ".frames.parquet", "application/vnd.apache.parquet", frames.write_parquet, needs_faces=True
    ),
    "vtt": Format(".vtt", "text/vtt", vtt.write),
    "srt": Format(".srt", "application/x-subrip", srt.write),
    "eaf": Format(".eaf", "text/x-eaf+xml", eaf.write),
    "textgrid": Format(".TextGrid", "text/plain", textgrid.write),
    "rttm": Format(".rttm", "text/plain", rttm.write),
    "audacity": Format(".audacity.txt", "text/plain", audacity.write),
    "label-studio": Format(".label-studio.json", "application/json", label_studio.write),
    "webannotation": Format(".webannotation.jsonld", "application/ld+json", web_annotation.write),
}
"""In the order in which docs/exports.md explains them."""

_MOST_BYTES = 120
"""Of a stem; file systems allow 255 in a name, and suffixes and temporary names come on top."""
_UNSAFE = re.compile(r'[<>:"/\\|?*]')


def format_names(given: str) -> tuple[str, ...]:
    """The formats that a list names, each once.

    Args:
        given: names with commas between them.

    Raises:
        AvtError: one is unknown, or there is none.
    """
    names = tuple(dict.fromkeys(name.strip().lower() for name in given.split(",") if name.strip()))
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        what = f"the format {unknown[0]!r} is unknown" if unknown else "no format is named"
        raise AvtError(f"{what}; give some of {', '.join(FORMATS)}.")
    return names


def needed_faces(names: Sequence[str], has_overlay: bool) -> RecordFaces:
    """What `Recognizer.predict` has to record for some formats, and for an overlay."""
    return "judged" if any(FORMATS[name].needs_faces for name in names) else has_overlay


def write_exports(
    prediction: MediaPrediction, names: Sequence[str], folder: Path, stem: str
) -> list[Path]:
    """Write a prediction in some formats.

    Args:
        prediction: of one input.
        names: of formats, keys of `FORMATS`.
        folder: that exists.
        stem: of the files' names, from `Stems`.

    Returns:
        The files, in the order of the names.

    Raises:
        AvtError: one cannot be written; those before it are.
    """
    paths = [folder / f"{stem}{FORMATS[name].suffix}" for name in names]
    for name, path in zip(names, paths, strict=True):
        FORMATS[name].write(prediction, path)
    return paths


class Stems:
    """Gives the files of each input a name that no other input of the run has.

    The name is that of the media without its suffix; the second input of that name gets "talk-2".
    What file systems do not take is replaced.

    Args:
        taken: names that are not to be given.
    """

    def __init__(self, taken: Sequence[str] = ()) -> None:
        self._taken = {name.casefold() for name in taken}

    def next(self, media: str) -> str:
        """The name for the files of an input."""
        stem = safe_stem(media)
        number, free = 1, stem
        while free.casefold() in self._taken:
            number += 1
            free = f"{stem}-{number}"
        self._taken.add(free.casefold())
        return free


def safe_stem(media: str) -> str:
    """The name of a media without folders and suffix, as every file system takes it."""
    name = Path(_UNSAFE.sub("_", one_line(file_name(media)))).stem
    cut = name.encode("utf-8", "replace")[:_MOST_BYTES].decode("utf-8", "ignore")
    return cut.strip(". ") or "media"
