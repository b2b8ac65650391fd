"""AVT-MemoCMT: multimodal emotion recognition in conversation from audio, video and text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from avt_memocmt.telemetry import switch_off_telemetry
from avt_memocmt.version import __version__

if TYPE_CHECKING:
    from avt_memocmt.api import EmotionRecognizer
    from avt_memocmt.explainability.explanation import MediaExplanation
    from avt_memocmt.inference.results import (
        MediaPrediction,
        ModalityUse,
        StreamEvent,
        UtterancePrediction,
    )
    from avt_memocmt.overlay.blur import blur_faces
    from avt_memocmt.overlay.film import write_overlay

# Before any library is imported, in whichever way this package is used.
switch_off_telemetry()

_EXPORTS = {
    "EmotionRecognizer": "avt_memocmt.api",
    "MediaExplanation": "avt_memocmt.explainability.explanation",
    "MediaPrediction": "avt_memocmt.inference.results",
    "ModalityUse": "avt_memocmt.inference.results",
    "StreamEvent": "avt_memocmt.inference.results",
    "UtterancePrediction": "avt_memocmt.inference.results",
    "blur_faces": "avt_memocmt.overlay.blur",
    "write_overlay": "avt_memocmt.overlay.film",
}

__all__ = [
    "EmotionRecognizer",
    "MediaExplanation",
    "MediaPrediction",
    "ModalityUse",
    "StreamEvent",
    "UtterancePrediction",
    "__version__",
    "blur_faces",
    "write_overlay",
]


def __getattr__(name: str) -> Any:
    """Import the public names on first use, so that importing the package stays cheap."""
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_EXPORTS[name]), name)
