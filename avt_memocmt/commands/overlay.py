"""What `avt-memocmt predict --overlay` does with each film."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from avt_memocmt.commands.console import counted_progress, log
from avt_memocmt.errors import AvtError

if TYPE_CHECKING:
    from avt_memocmt.inference.results import MediaPrediction


@dataclass(frozen=True)
class Films:
    """Writes films with the answer on them; attributes as of `write_overlay`."""

    blur_faces: bool
    audio_track: int | None

    def write(self, result: MediaPrediction, media: Path, path: Path) -> list[str]:
        """Write one and show how it goes; return why it could not be written, or nothing."""
        from avt_memocmt.overlay.film import write_overlay

        try:
            with counted_progress(f"overlay of {media}") as show:
                write_overlay(
                    result,
                    media,
                    path,
                    blur_faces=self.blur_faces,
                    audio_track=self.audio_track,
                    progress=show,
                )
        except AvtError as error:
            return [str(error)]
        log.print(f"wrote {path}")
        return []
