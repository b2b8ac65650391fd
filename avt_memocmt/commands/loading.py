"""Loading a checkpoint for a command."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from avt_memocmt.api import EmotionRecognizer
    from avt_memocmt.engines.names import EngineName


def load_recognizer(checkpoint: str | Path, engine: EngineName = "torch") -> EmotionRecognizer:
    """`api.load_named` for a process that does nothing else.

    Importing and loading create many objects but no garbage, so collecting garbage only costs time:
    without it, then and at the end, `predict` of a clip of 3 s takes 3.6 instead of 4.4 s of
    processor time (medians of 11 runs each, in turn).

    Raises:
        AvtError: as of `load_named`.
    """
    gc.disable()
    try:
        from avt_memocmt.api import load_named

        return load_named(checkpoint, engine)
    finally:
        gc.freeze()
        gc.enable()
