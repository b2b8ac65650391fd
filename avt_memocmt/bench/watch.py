"""Times the parts of a recogniser from outside, so that the code that predicts holds no timers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from avt_memocmt.bench.stages import StageTimer
from avt_memocmt.features.whisper_encoder import WhisperEncoder
from avt_memocmt.inference.recognizer import Recognizer
from avt_memocmt.media.packets import PacketReader
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.preprocessing.audio_preprocess_vad import CausalSegmenter
from avt_memocmt.preprocessing.face_tracker import FaceTracker


@contextmanager
def watched(recognizer: Recognizer, timer: StageTimer) -> Iterator[None]:
    """Count the stages of the recogniser inside the block, by timing public methods.

    Afterwards every method is as it was.
    """
    engine, encoders = type(recognizer.engine), recognizer.engine.encoders
    # Faces and words by the methods that the caches of a stream call too.
    parts: list[tuple[str, Any, str]] = [
        ("demux", PacketReader, "packets"),
        ("decode", MediaReader, "events"),
        ("wait for decoder", MediaReader, "events_ahead"),
        ("voice activity", CausalSegmenter, "push"),
        ("face detection", FaceTracker, "push"),
        ("face encoder", encoders.visual, "vectors"),
        ("audio encoder", encoders.audio, "encode"),
        ("recogniser", recognizer, "listen"),
        ("text encoder", encoders.text, "encode_pieces"),
        ("fusion", engine, "fuse"),
        ("temporal", engine, "classify"),
    ]
    if isinstance(encoders.audio, WhisperEncoder):
        # The recogniser's pass through the shared encoder.
        parts.append(("audio encoder", encoders.audio, "log_mel"))
        parts.append(("audio encoder", encoders.audio, "forward_with_silence"))
    with ExitStack() as patches:
        for stage, owner, name in parts:
            timed = timer.timed(stage, getattr(owner, name))
            patches.enter_context(patch.object(owner, name, timed))
        yield
