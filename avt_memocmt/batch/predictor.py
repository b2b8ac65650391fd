"""What a worker process does with one file of a batch: predict it and write what was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from avt_memocmt.api import EmotionRecognizer, load_named
from avt_memocmt.batch.inputs import Input
from avt_memocmt.engines.names import EngineName
from avt_memocmt.errors import failure_reason
from avt_memocmt.evaluation.provenance import checkpoint_sha256
from avt_memocmt.exports.formats import needed_faces, write_exports
from avt_memocmt.files import make_folder, write_text_atomically
from avt_memocmt.inference.results import to_json
from avt_memocmt.json_files import json_text
from avt_memocmt.models.checkpoint import checkpoint_folder
from avt_memocmt.overlay import OVERLAY_SUFFIX
from avt_memocmt.overlay.film import why_no_overlay, write_overlay
from avt_memocmt.version import __version__
from avt_memocmt.workers import fix_threads


@dataclass(frozen=True)
class Predictor:
    """Predicts files one by one; every process loads the recogniser at its first file.

    Attributes:
        folder: for the results.
        checkpoint: as of `load_named`.
        engine: as there.
        arguments: of `EmotionRecognizer.predict`, by name; JSON can hold them.
        formats: further files of each input, keys of `FORMATS`.
        overlay: whether a film with the answer on it is written too.
        blur_faces: whether faces are blurred in it.
    """

    folder: Path
    checkpoint: str = "embedded"
    engine: EngineName = "torch"
    arguments: Mapping[str, Any] = field(default_factory=dict)
    formats: tuple[str, ...] = ()
    overlay: bool = False
    blur_faces: bool = False

    def __call__(self, item: Input) -> str | None:
        """Write the results of a file, last of all its JSON; return the reason where that fails.

        Raises:
            AvtError: the checkpoint cannot be loaded, so that no file can be predicted.
        """
        recognizer = _recognizer(self.checkpoint, self.engine)
        try:
            self._write(recognizer, item)
        except Exception as error:  # one odd file must not end a run over thousands
            return failure_reason(error)
        return None

    def options(self) -> dict[str, Any]:
        """All that decides on the results of a file, for `Ledger`.

        Raises:
            AvtError: there is no such checkpoint.
        """
        return {
            **self.arguments,
            "version": __version__,
            "checkpoint": checkpoint_sha256(checkpoint_folder(self.checkpoint)),
            "engine": self.engine,
            "formats": list(self.formats),
            "overlay": self.overlay,
            "blur_faces": self.blur_faces,
        }

    def result_path(self, item: Input) -> Path:
        """Of the JSON with the prediction of a file."""
        return self.folder / f"{item.name}.json"

    def _write(self, recognizer: EmotionRecognizer, item: Input) -> None:
        sampled = needed_faces(self.formats, self.overlay)
        found = recognizer.predict(item.media, **self.arguments, sampled_faces=sampled)
        path = self.result_path(item)
        make_folder(path.parent)
        write_exports(found, self.formats, path.parent, Path(item.name).name)
        if self.overlay and why_no_overlay(item.media) is None:
            film = self.folder / f"{item.name}{OVERLAY_SUFFIX}"
            track = self.arguments.get("audio_track")
            write_overlay(found, item.media, film, blur_faces=self.blur_faces, audio_track=track)
        write_text_atomically(path, json_text(to_json(found)) + "\n")


@lru_cache(maxsize=1)
def _recognizer(checkpoint: str, engine: EngineName) -> EmotionRecognizer:
    fix_threads()
    return load_named(checkpoint, engine)
