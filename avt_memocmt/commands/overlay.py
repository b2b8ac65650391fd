"""What `avt-memocmt predict` does for --overlay and --blur-faces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from avt_memocmt.commands.console import counted_progress, log
from avt_memocmt.errors import AvtError
from avt_memocmt.files import make_folder

if TYPE_CHECKING:
    from avt_memocmt.inference.results import MediaPrediction


def without_faces(result: MediaPrediction) -> MediaPrediction:
    """The prediction with blurred thumbnails; imported only where that is asked for."""
    from avt_memocmt.overlay.blur import blur_faces

    return blur_faces(result)


def write_film(
    result: MediaPrediction, media: Path, path: Path, blur_faces: bool, audio_track: int | None
) -> list[str]:
    """Write the film of a prediction and show how it goes; return why it could not be written."""
    from avt_memocmt.overlay.film import write_overlay

    try:
        make_folder(path.parent)
        with counted_progress(f"overlay of {media}") as show:
            write_overlay(
                result,
                media,
                path,
                blur_faces=blur_faces,
                audio_track=audio_track,
                progress=show,
            )
    except AvtError as error:
        return [str(error)]
    log.print(f"wrote {path}")
    return []
