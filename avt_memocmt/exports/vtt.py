"""Subtitles for web players, in WebVTT (W3C), with speakers as voices and emotions as classes."""

from __future__ import annotations

from html import escape
from pathlib import Path

from avt_memocmt.exports.plain_text import clock, judgement, milliseconds, one_line, who
from avt_memocmt.files import write_text_atomically
from avt_memocmt.inference.results import MediaPrediction, UtterancePrediction, speaker_names


def write(prediction: MediaPrediction, path: Path) -> None:
    """Write one cue for each utterance."""
    names = speaker_names(prediction)
    cues = [_cue(spoken, who(spoken, names)) for spoken in prediction.utterances]
    write_text_atomically(path, "\n\n".join(["WEBVTT", *cues]) + "\n")


def _cue(spoken: UtterancePrediction, name: str) -> str:
    start, end = (clock(time, ".") for time in milliseconds(spoken))
    # Escaped, text holds no tag and no arrow, which would end the cue.
    words = escape(one_line(spoken.text), quote=False)
    said = f"<v {escape(name, quote=False)}>{words}</v>" if name else words
    shown = f"<c.{spoken.emotion}>[{judgement(spoken)}]</c>"
    return f"{start} --> {end}\n{f'{said} {shown}'.strip()}"
