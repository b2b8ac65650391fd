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

    Importing and loading create many objects but no garbage, so collecting garbage only costs time:
    without it, then and at the end, `predict` of a clip of 3 s takes 3.6 instead of 4.4 s of
    processor time (medians of 11 runs each, in turn).

    Raises:
        AvtError: as of `from_pretrained`.
    """
    gc.disable()
    try:
        from avt_memocmt.api import EmotionRecognizer
        from avt_memocmt.models.checkpoint import HUB

        is_on_hub = str(checkpoint).startswith(HUB)
        return EmotionRecognizer.from_pretrained(
            checkpoint if is_on_hub else Path(checkpoint), engine
        )
    finally:
        gc.freeze()
        gc.enable()
