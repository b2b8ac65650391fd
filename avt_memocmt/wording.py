"""Names of modalities, meanings of warnings; how times, shares, scores and tables are written."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

MODALITY_NAMES = {"audio": "audio", "visual": "face", "text": "words"}
"""How figures and tables call the modalities."""

SCORE_NAMES = {
    "accuracy": "accuracy",
    "weighted_f1": "weighted F1",
    "macro_f1": "macro F1",
    "uar": "UAR",
    "ece": "ECE",
}
"""How tables call the scores."""

WARNINGS: dict[str, str] = {
    "no_face": "No face was found in the pictures of this stretch, so only sound and words count.",
    "no_speech": "Nobody was heard speaking here; the sound counts only where there is no face and "
    "no word.",
    "too_short": "The utterance is shorter than a quarter of a second, too little to judge well.",
    "silent_audio": "The sound track is there but silent, so it was left out.",
    "transcript_mismatch": "The given words do not seem to be what is said; check that the "
    "transcript belongs to this recording.",
    "captions_dropped": "Some captions were left out: they are broken, without words, or begin "
    "after the end of the media.",
    "captions_shifted": "All captions began whole hours late, as those of broadcasts do, and were "
    "moved to the start of the media.",
    "image_used_as_face": "No face was found in this small picture, so the whole picture was taken "
    "as an already cut-out face.",
    "no_audio": "The file has no sound that can be decoded; faces and given words alone count.",
    "no_video": "The file has no pictures that can be decoded; sound and words alone count.",
    "corrupt_audio": "Parts of the sound track are damaged and were skipped.",
    "corrupt_frames": "Some pictures are damaged and were skipped.",
    "truncated": "The file ends before its header says it should; the rest is missing.",
    "rest_unread": "A second recording follows in the same file, as where two were joined byte by "
    "byte; it was not read. Join them with ffmpeg instead.",
    "clock_jump": "The clock of the file runs back or jumps; what follows was put right behind "
    "what came before, so later times may differ from those that a player shows.",
    "other_track": "The main sound track is silent, so another one of the file was heard.",
    "span_cut": "The file ends before the span that was asked for; the rest of it is missing.",
    "speaker_uncertain": "Who speaks here could not be told: the stretch is too short, or the "
    "voice lies between two others.",
    "speaker_not_seen": "No face on the screen speaks here, so no face counts.",
    "unknown_words": "Most of the words are in a language or script that the text encoder does not "
    "know, so they were left out; it reads English.",
    "text_cut": "The text is long; its beginning, beyond the model's limit, was left out.",
    "audio_cut": "The utterance is long; sound beyond the model's limit was left out.",
}
"""What each warning means, by its name in `predictions.json`."""


def counted(number: int, noun: str) -> str:
    """A number and what is counted: "1 speaker", "2 speakers"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def clock(seconds: float, decimals: int = 1) -> str:
    """A time as people read it: "3.2", "1:03.2" (minutes), "1:00:03.2" (hours)."""
    rounded = round(seconds, decimals)
    if rounded < 60:
        return f"{rounded:.{decimals}f}"
    width = 2 + (decimals + 1 if decimals else 0)
    minutes, rest = divmod(rounded, 60)
    hours, minutes = divmod(int(minutes), 60)
    tail = f"{rest:0{width}.{decimals}f}"
    return f"{hours}:{minutes:02d}:{tail}" if hours else f"{minutes}:{tail}"


def percent(share: float) -> str:
    """A share between 0 and 1 as "71%"."""
    return f"{share:.0%}"


def signed(value: float) -> str:
    """A score with its sign and two significant digits, but at most four decimals: "−0.029"."""
    rounded = round(float(f"{value:.2g}"), 4) + 0.0  # never −0.0
    decimals = 1 - math.floor(math.log10(abs(rounded))) if rounded else 1
    return f"{rounded:+.{min(max(0, decimals), 4)}f}".replace("-", "−")


def with_interval(value: float, interval: Sequence[float], sign: str = "") -> str:
    """A figure and its interval, as "0.512 [0.487, 0.530]"; with `sign` "+" each has its sign."""
    low, high = interval
    return f"{value:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown, without a newline at its end."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))


LIMITS_TITLE = "What this can and cannot say"
LIMITS = (
    "These are guesses of a small model about how people sound, look and what they say, not "
    "measurements of what anybody feels. It learned voices from acted speech in studios, faces "
    "from photographs and films labelled by onlookers and from posed pictures, words from the "
    "transcripts of one American sitcom, and how the three go together mostly from pairs put "
    "together by us rather than recorded together. Expect it to be worse on other languages, "
    "accents, cultures, ages, lighting and recording conditions. The confidence is the model's "
    "own, and it can be sure and wrong. Do not use it to decide anything about a person: not in "
    "hiring, schooling, policing, medicine or insurance."
)
"""Stands under every report and every page of the studio."""
