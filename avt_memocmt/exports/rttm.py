"""Who speaks when, in RTTM."""

from __future__ import annotations

from pathlib import Path

from avt_memocmt.exports.media_link import file_name
from avt_memocmt.exports.plain_text import one_line, who
from avt_memocmt.files import write_text_atomically
from avt_memocmt.inference.results import MediaPrediction, speaker_names
from avt_memocmt.speakers.rttm import NamedTurn, rttm_text


def write(prediction: MediaPrediction, path: Path) -> None:
    """Write a line for each utterance of a known speaker; the file is empty where there is none."""
    names = speaker_names(prediction)
    recording = one_line(Path(file_name(prediction.media)).stem)
    turns = [
        NamedTurn(spoken.start, spoken.end, who(spoken, names))
        for spoken in prediction.utterances
        if spoken.speaker is not None and spoken.end > spoken.start
    ]
    write_text_atomically(path, rttm_text(recording, turns))
