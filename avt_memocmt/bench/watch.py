"""Times the parts of a recogniser from outside: nothing of this is in the code that predicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from avt_memocmt.bench.stages import StageTimer
from avt_memocmt.features.extract_audio_features import WhisperAudioEncoder
from avt_memocmt.inference.recognizer import Recognizer
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.preprocessing.audio_preprocess_vad import CausalSegmenter
from avt_memocmt.preprocessing.face_tracker import FaceTracker

_MISSING = object()


@contextmanager
def watched(recognizer: Recognizer, timer: StageTimer) -> Iterator[None]:
    """Count the recogniser's stages inside the block; afterwards everything is as it was."""
    engine, encoders = type(recognizer.engine), recognizer.engine.encoders
    parts: list[tuple[str, Any, str]] = [
        ("voice activity", CausalSegmenter, "push"),
        ("face detection", FaceTracker, "push"),
        ("face encoder", encoders.visual, "encode"),
        ("audio encoder", encoders.audio, "encode"),
        ("recogniser", recognizer, "listen"),
        ("text encoder", encoders.text, "encode"),
        ("fusion", engine, "fuse"),
        ("temporal", engine, "classify"),
    ]
    if isinstance(encoders.audio, WhisperAudioEncoder):
        # The recogniser's pass through the shared encoder.
        parts.append(("audio encoder", encoders.audio.encoder, "log_mel"))
        parts.append(("audio encoder", encoders.audio.encoder, "forward_with_silence"))
    undo = [
        _replace(MediaReader, "_packets", timer.timed_steps("demux", MediaReader._packets)),
        _replace(MediaReader, "events", timer.timed_steps("decode", MediaReader.events)),
        _replace(
            MediaReader,
            "events_ahead",
            timer.timed_steps("wait for decoder", MediaReader.events_ahead),
        ),
        *(_replace(owner, name, timer.timed(s, getattr(owner, name))) for s, owner, name in parts),
    ]
    try:
        yield
    finally:
        for step in reversed(undo):
            step()


def _replace(owner: Any, name: str, function: Callable[..., Any]) -> Callable[[], None]:
    """Put a function in an attribute's place and return what undoes it."""
    own = vars(owner).get(name, _MISSING)
    setattr(owner, name, function)
    if own is _MISSING:
        return lambda: delattr(owner, name)
    return lambda: setattr(owner, name, own)
