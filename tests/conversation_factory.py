"""Predictions of conversations, as made up as they need to be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from page_reader import chances

from avt_memocmt.inference.results import (
    FacePrediction,
    MediaPrediction,
    ModalityUse,
    SeenFace,
    Speaker,
    UtterancePrediction,
)


def spoken(
    start: float,
    end: float,
    speaker: str | None,
    emotion: str,
    *,
    face: str | None = None,
    faces: Sequence[FacePrediction] = (),
    text: str = "some words",
    **more: object,
) -> UtterancePrediction:
    """An utterance in which somebody speaks; where a face counted, it shows the same emotion."""
    uses = {
        "audio": ModalityUse(True, 0.6, chances(emotion)),
        "visual": ModalityUse(face is not None, 0.4, chances(emotion) if face else None),
        "text": ModalityUse(False, 0.0),
    }
    return UtterancePrediction(
        start,
        end,
        speaker,
        text,
        "asr",
        chances(emotion),
        uses,
        face=face,
        faces=tuple(faces),
        **more,
    )


def shows(face: str, emotion: str, *, speaks: bool = False, seconds: float = 1.0) -> FacePrediction:
    """What a face shows."""
    return FacePrediction(face, speaks, seconds, chances(emotion, 0.6))


def seen(face: str, seconds: float = 1.0, grey: int = 128) -> SeenFace:
    """A face, as a grey picture."""
    return SeenFace(face, seconds, np.full((112, 112, 3), grey, np.uint8))


def conversation(
    *utterances: UtterancePrediction,
    speakers: Sequence[Speaker] = (),
    faces: Sequence[SeenFace] = (),
    duration: float = 10.0,
) -> MediaPrediction:
    """The prediction of a file."""
    return MediaPrediction(
        "talk.mp4",
        duration,
        "embedded",
        "0.1.0",
        utterances,
        speakers=tuple(speakers),
        faces=tuple(faces),
    )
