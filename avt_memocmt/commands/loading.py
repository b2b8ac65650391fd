"""Loading a checkpoint for a command."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from avt_memocmt.api import EmotionRecognizer
    from avt_memocmt.engines.names import EngineName


def load_recognizer(checkpoint: str | Path, engine: EngineName = "torch") -> EmotionRecognizer:
    """`EmotionRecognizer.from_pretrained` for a process that does nothing else.

    Nothing that importing and loading make is garbage. Looking for it all the same would take a
    tenth of the start, and as long again at the end.

    Raises:
        AvtError: as of `from_pretrained`.
    """
    gc.disable()
    try:
        from avt_memocmt.api import EmotionRecognizer

        return EmotionRecognizer.from_pretrained(checkpoint, engine)
    finally:
        gc.freeze()
        gc.enable()
