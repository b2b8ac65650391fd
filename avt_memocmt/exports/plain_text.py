"""Words, names and judgements as text that every format can hold."""

from __future__ import annotations

import re

from avt_memocmt.inference.results import UtterancePrediction
from avt_memocmt.wording import percent

# XML has no place for these; subtitle readers and Praat stop at some of them.
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
_REPLACEMENT = "\ufffd"


def clean(text: str) -> str:
    """Text with all its lines and tabs; control characters become U+FFFD."""
    return _FORBIDDEN.sub(_REPLACEMENT, text.replace("\r\n", "\n").replace("\r", "\n"))


def one_line(text: str) -> str:
    """The same in one line, with single blanks."""
    return " ".join(clean(text).split())


def judgement(utterance: UtterancePrediction) -> str:
    """What was decided, as "joy 71%", or "uncertain, joy 31%"."""
    doubt = "" if utterance.emotion == utterance.likeliest else f"{utterance.emotion}, "
    return f"{doubt}{utterance.likeliest} {percent(utterance.confidence)}"


def who(utterance: UtterancePrediction, names: dict[str, str]) -> str:
    """What the speaker of an utterance is called, in one line; "" where nobody is known.

    Args:
        utterance: of a prediction.
        names: of its speakers, by id.
    """
    if utterance.speaker is None:
        return ""
    return one_line(names.get(utterance.speaker, utterance.speaker))


def milliseconds(utterance: UtterancePrediction) -> tuple[int, int]:
    """Start and end of an utterance in whole milliseconds, at least one apart.

    A picture has an utterance of no length, which most formats cannot hold.
    """
    start = round(utterance.start * 1000)
    return start, max(round(utterance.end * 1000), start + 1)


def clock(time: int, separator: str) -> str:
    """A time in milliseconds as subtitles write it, such as 00:01:02.500.

    Args:
        time: milliseconds.
        separator: between seconds and milliseconds.
    """
    seconds, rest = divmod(time, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{separator}{rest:03d}"
