"""Transcripts that a user gives: .srt and .vtt captions, .txt lines, or the text itself."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from avt_memocmt.errors import AvtError
from avt_memocmt.preprocessing.captions import Caption, is_captions, read_captions
from avt_memocmt.preprocessing.rolling_captions import as_spoken
from avt_memocmt.preprocessing.text_file import read_text_file
from avt_memocmt.preprocessing.text_preprocess import clean_text

MAX_BYTES = 10_000_000
"""Largest transcript file that is read; a day of captions stays well below it."""

SUFFIXES = (".srt", ".vtt", ".txt")

_OTHER_SUFFIXES = (
    *(".ass", ".ssa", ".sub", ".sbv", ".lrc", ".json", ".ttml", ".dfxp", ".xml", ".smi", ".stl"),
    *(".csv", ".tsv", ".eaf", ".textgrid", ".doc", ".docx", ".odt", ".pdf", ".rtf", ".md"),
)
_LINE_END = re.compile(r"\r\n|\r|\n")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]+)>")
# A change of the speaker: "- Hi", and ">> Hi" of broadcast captions.
_DASH = re.compile(r"^\s*(?:[-\u2013\u2014]+|(?:>|&gt;){2,3})\s*(?=\S)")
_CAPITAL_NAME = re.compile(r"^([A-Z][A-Z0-9 .'&-]{0,30}[A-Z0-9.])\s*:\s+(?=\S)")
_NAME = re.compile(r"^((?:[A-Z][\w.'-]*)(?: (?:[A-Z][\w.'-]*|and|&|\d+)){0,3})\s*:\s+(?=\S)")
_SENTENCE_END = re.compile(r"[.!?][\"')]*$")
_CONTINUATION = re.compile(r"^(?:\.\.\.|[a-z])")


@dataclass(frozen=True)
class Cue:
    """One caption or line of a transcript.

    Attributes:
        text: cleaned, never empty.
        start: seconds from the start of the media; None where the source has no times.
        end: seconds from the start of the media; not before start, but equal to it in some real
            captions.
        speaker: name in the source, or None.
        is_whole: whether it is an utterance by itself, which no other cue continues.
    """

    text: str
    start: float | None = None
    end: float | None = None
    speaker: str | None = None
    is_whole: bool = False


class Transcript(list[Cue]):
    """The cues of a transcript, and what of its source is not among them.

    Attributes:
        dropped: captions or lines that were left out, by the reason: "no_words" (sound captions
            such as "[laughter]" or a music sign), "broken" (times that cannot be read).
        broken_lines: of the file, from 1.
    """

    def __init__(self, cues: Iterable[Cue] = (), broken_lines: Sequence[int] = ()) -> None:
        cues = list(cues)
        super().__init__(cue for cue in cues if cue.text)
        counts = {"no_words": len(cues) - len(self), "broken": len(broken_lines)}
        self.broken_lines = tuple(broken_lines)
        self.dropped = {reason: count for reason, count in counts.items() if count}


def load_transcript(argument: str) -> Transcript:
    """Return the cues of a transcript file, or of a text given in place of a file.

    Captions come back in order of their start, rolling ones as they are spoken (`as_spoken`). A
    line of a .txt file without times is one cue without times, and so is a text. A speaker is a
    WebVTT voice tag, a name in capitals before a colon ("ROSS: Hi"), or any capitalised name before
    a colon where at least half of the cues carry one. Cues without words (sound captions) and
    captions whose times cannot be read are left out and counted.

    Args:
        argument: path of an existing .srt, .vtt or .txt file (see `read_text_file` for its
            encoding), or text.

    Raises:
        AvtError: what looks like a path does not exist, a file is of another kind, above
            `MAX_BYTES` or mostly broken (the message names the line), or no words are in it.
    """
    if not os.path.exists(argument):
        if _looks_like_path(argument):
            raise AvtError(f"the transcript {argument} does not exist; check the path.")
        cues = _finish([Cue(argument)])
        if not cues:
            raise AvtError("the transcript has no words; give words or a file, or leave it out.")
        return cues
    path = Path(argument)
    if path.suffix.lower() not in SUFFIXES:
        raise AvtError(f"the transcript {path} is no {', '.join(SUFFIXES)} file; convert it.")
    lines = _LINE_END.split(read_text_file(path, "the transcript", MAX_BYTES))
    if path.suffix.lower() == ".txt" and not is_captions(lines):
        cues = _finish([Cue(line) for line in lines if line.strip()])
    else:
        file = read_captions(path, lines)
        spoken = [cue for caption in as_spoken(file.captions) for cue in _voices(caption)]
        cues = _finish(spoken, [line for line, _ in file.broken])
    if not cues:
        what = "has sounds but no words" if cues.dropped else "is empty"
        raise AvtError(f"the transcript {path} {what}; give a file with words, or leave it out.")
    return cues


def _looks_like_path(text: str) -> bool:
    """Whether a text that names no file was meant to: by a suffix, or a slash without a space."""
    text = text.strip()
    if "\n" in text or not text:
        return False
    has_suffix = os.path.splitext(text)[1].lower() in (*SUFFIXES, *_OTHER_SUFFIXES)
    return has_suffix or (len(text.split()) == 1 and ("/" in text or os.sep in text))


def group_cues(
    cues: Sequence[Cue], max_gap: float = 0.7, max_seconds: float = 12.0
) -> list[list[Cue]]:
    """Join captions into utterances; captions break sentences so that they fit the screen.

    A timed cue continues the one before it unless that one ended its sentence, the speaker
    differs, the pause between them exceeds `max_gap` seconds, or the whole would exceed
    `max_seconds`. Cues without times stay as they are.
    """
    groups: list[list[Cue]] = []
    before: Cue | None = None
    for cue in cues:
        if before is not None and _continues(before, cue, max_gap, max_seconds):
            groups[-1].append(cue)
            before = join_cues([before, cue])
        else:
            groups.append([cue])
            before = cue
    return groups


def join_cues(cues: Sequence[Cue]) -> Cue:
    """One cue with the words of several, at least one, that follow each other."""
    if len(cues) == 1:
        return cues[0]
    end = max(cue.end or 0.0 for cue in cues)
    return replace(cues[0], text=" ".join(cue.text for cue in cues), end=end)


def _continues(before: Cue, cue: Cue, max_gap: float, max_seconds: float) -> bool:
    if before.start is None or before.end is None or cue.start is None or cue.end is None:
        return False
    if before.is_whole or cue.is_whole:
        return False
    if before.speaker != cue.speaker or cue.start - before.end > max_gap:
        return False
    if max(before.end, cue.end) - before.start > max_seconds:
        return False
    trails_on = before.text.endswith("...") and bool(_CONTINUATION.match(cue.text))
    return trails_on or not _SENTENCE_END.search(before.text)


def _voices(caption: Caption) -> Iterator[Cue]:
    """A cue for each WebVTT voice in it; they share the times."""
    before, *voices = _VOICE.split(caption.text)
    if before.strip() or not voices:
        yield Cue(before, caption.start, caption.end)
    for name, said in zip(voices[::2], voices[1::2], strict=True):
        yield Cue(said, caption.start, caption.end, clean_text(name) or None)


def _finish(cues: Sequence[Cue], broken_lines: Sequence[int] = ()) -> Transcript:
    cleaned = []
    for cue in cues:
        lines = (_DASH.sub("", line) for line in cue.text.split("\n"))
        cleaned.append(replace(cue, text=clean_text("\n".join(lines))))
    with_words = [cue for cue in cleaned if cue.text]
    named = sum(bool(_NAME.match(cue.text)) for cue in with_words)
    pattern = _NAME if named > 1 and 2 * named >= len(with_words) else _CAPITAL_NAME
    cleaned = [_take_speaker(cue, pattern) for cue in cleaned]
    cleaned.sort(key=lambda cue: (cue.start or 0.0, cue.end or 0.0))
    return Transcript(cleaned, broken_lines)


def _take_speaker(cue: Cue, pattern: re.Pattern[str]) -> Cue:
    match = pattern.match(cue.text)
    if cue.speaker or match is None:
        return cue
    return replace(cue, text=cue.text[match.end() :], speaker=match[1])
