"""Subtitles that every player reads, in SubRip."""

from __future__ import annotations

import re
from pathlib import Path

from avt_memocmt.exports.plain_text import clock, judgement, milliseconds, one_line, who
from avt_memocmt.files import write_text_atomically
from avt_memocmt.inference.results import MediaPrediction, UtterancePrediction, speaker_names

# SubRip has no escapes. Readers take these for tags, times or breaks of lines; a word joiner, which
# nobody sees, parts the signs. What stands in braces is a style to them, and is not shown.
_SIGNS = re.compile(r"<|--(?=>)|\\(?=[Nnh])|\d:(?=\d\d?:\d\d?[.,]\d)")
_JOINER = "\u2060"
_NO_BRACES = str.maketrans("{}", "()")


def write(prediction: MediaPrediction, path: Path) -> None:
    """Write one subtitle for each utterance: who speaks, the words and the emotion."""
    names = speaker_names(prediction)
    blocks = [
        f"{number}\n{_subtitle(spoken, who(spoken, names))}\n"
        for number, spoken in enumerate(prediction.utterances, start=1)
    ]
    write_text_atomically(path, "\n".join(blocks))


def _subtitle(spoken: UtterancePrediction, name: str) -> str:
    start, end = (clock(time, ",") for time in milliseconds(spoken))
    speaker = f"{name}: " if name else ""
    words = (speaker + one_line(spoken.text)).translate(_NO_BRACES)
    words = _SIGNS.sub(lambda sign: sign[0] + _JOINER, words)
    return f"{start} --> {end}\n{f'{words} [{judgement(spoken)}]'.strip()}"
