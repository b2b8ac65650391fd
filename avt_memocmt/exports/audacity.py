"""A label track for Audacity."""

from __future__ import annotations

from pathlib import Path

from avt_memocmt.exports.plain_text import judgement, one_line, who
from avt_memocmt.files import write_text_atomically
from avt_memocmt.inference.results import MediaPrediction, speaker_names


def write(prediction: MediaPrediction, path: Path) -> None:
    """Write a label for each utterance: who speaks, the emotion and the words."""
    names = speaker_names(prediction)
    lines = []
    for spoken in prediction.utterances:
        parts = (who(spoken, names), judgement(spoken), one_line(spoken.text))
        label = ": ".join(filter(None, parts))
        lines.append(f"{spoken.start:.6f}\t{spoken.end:.6f}\t{label}\n")
    write_text_atomically(path, "".join(lines))
