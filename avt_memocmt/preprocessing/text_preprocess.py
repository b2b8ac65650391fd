"""Cleaning of transcripts and captions, and their division into words."""

from __future__ import annotations

import re
import unicodedata

from ftfy import TextFixerConfig, fix_text

from avt_memocmt.as_program import run_command

_MAX_PASSES = 8
"""Repairs can uncover one another ("&amp;lt;b&amp;gt;"); markup nested deeper than this stays."""

_QUOTES = str.maketrans(
    {**dict.fromkeys("\u2018\u2019\u201a\u201b\u02bc\u2032", "'"), "\u00b4": "'", "`": "'"}
    | {**dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'), "\u2026": "..."}
)
# Letters of every language stay as they are written: no ligature and no wide form is rewritten.
_REPAIRS = TextFixerConfig(
    unescape_html=True, uncurl_quotes=False, fix_latin_ligatures=False, fix_character_width=False
)
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<[0-9:.]+>|\{\\[^{}]*\}|\{[A-Za-z]:[^{}]*\}")
_LINE_BREAK = re.compile(r"\\[Nh]|<[bB][rR]\s*/?>")
_URL = re.compile(r"\b(?:https?://|www\.(?=\w))\S*[^\s.,!?;:\"')\]]", re.IGNORECASE)
_MUSIC = re.compile(r"[\u2669-\u266c\U0001d100-\U0001d1ff]\ufe0f?|(?<!\S)#(?!\S)")
_BRACKETS = re.compile(r"\[[^\[\]]*\]")
_PARENTHESES = re.compile(r"\(([^()]*)\)")
# Stems of the words by which captions name a sound: they are not said, and the audio has them.
_SOUND = re.compile(
    r"\b(?:laugh|chuckl|giggl|sigh|gasp|groan|moan|grunt|scream|shout|yell|whisper|crying|cries|"
    r"sob(?:s|bing)|weep|sniff|cough|sneez|snor|yawn|gulp|clear(?:s|ing) (?:\w+ )?throat|exhal|"
    r"inhal|breath|panting|mumbl|mutter|stutter|applau|clap|cheer(?:s|ing)|music|sing(?:s|ing)\b|"
    r"hum(?:s|ming)\b|ring(?:s|ing)\b|knock|slam|beep|bark|inaudible|unintelligible|indistinct|"
    r"silence|pause|chatter)",
    re.IGNORECASE,
)
_DROPPED_CATEGORIES = {"Cc", "Cf", "Cs", "Co"}
_BETWEEN_WORDS = re.compile(
    r"\s+|(?<=[\u2013-\u2015/])(?<!</)(?=\w)|(?<=--)(?=\w)|(?<=\.\.)(?=\w)|(?<=[!?;,])(?=[^\W\d])"
)

_AROUND_WORDS = "'\".,:;!?()[]*-"
_INITIALS = re.compile(r"(?!.*(.)\1)[B-DF-HJ-NP-TV-XZ]{2,5}")  # a doubled letter is a cry ("SHH")
_SPOKEN = re.compile(r"(\d+)(?:st|nd|rd|th|s)?|([^\W\d_](?:'?[^\W\d_])*)")
_TITLES = {"mr": "mister", "mrs": "missus", "ms": "miss", "dr": "doctor", "vs": "versus"}
_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    "nineteen",
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def clean_text(text: str, lowercase: bool = False) -> str:
    """One line of plain text with the words that are said and their punctuation.

    Repairs text that was read in a wrong encoding (ftfy), such as cp1252 read as Latin-1 (U+0080 to
    U+009F, MELD's older copies); unfolds HTML entities; straightens quotes; writes the ellipsis as
    three dots; drops control and zero-width characters, HTML, WebVTT and SSA tags, URLs, music
    signs, captions in square brackets, and captions in parentheses that name a sound.
    Words in other parentheses, dashes, numbers, emoji (they carry emotion) and letters of every
    language stay, in NFC form. Cleaning a clean text changes nothing.

    Args:
        text: raw text, any number of lines.
        lowercase: whether to lower-case the result.

    Returns:
        The cleaned text; empty where there was nothing but markup.
    """
    for _ in range(_MAX_PASSES):
        cleaned = _clean_once(text)
        if lowercase:
            cleaned = unicodedata.normalize("NFC", cleaned.lower())
        if cleaned == text:
            break
        text = cleaned
    return text


def split_words(text: str) -> list[str]:
    """The words of a text in order, each with the punctuation written at it.

    Parts at spaces, and after a dash, slash, row of dots or other punctuation that a word follows
    directly ("the--wow", "Hi!How"). Nothing but spaces is lost: what an encoder reads as words and
    what it reads as one text are the same. A sign that stands alone is a word of its own.
    """
    return [word for word in _BETWEEN_WORDS.split(text) if word]


def spoken_words(word: str) -> list[str]:
    """How one written word is read aloud in English: lower-case words, capitals for single letters.

    Numbers become words ("42" -> forty two, "1995" -> nineteen ninety five), capitals without a
    vowel become letters ("TV" -> T V), titles are written out ("Mr." -> mister), drawn-out sounds
    are shortened ("Nooooo" -> noo). A sign without a letter or digit has no reading: empty list.
    """
    bare = word.translate(_QUOTES).replace(",", "").strip(_AROUND_WORDS)
    if bare.lower() in _TITLES:
        return [_TITLES[bare.lower()]]
    if _INITIALS.fullmatch(bare):
        return list(bare)
    spoken: list[str] = []
    for digits, letters in _SPOKEN.findall(bare):
        spoken += _number_words(digits) if digits else [_spoken_letters(letters)]
    return spoken


def _clean_once(text: str) -> str:
    text = fix_text(text, _REPAIRS).translate(_QUOTES)
    text = _LINE_BREAK.sub(" ", text)
    text = " ".join(text.split())
    text = "".join(char for char in text if unicodedata.category(char) not in _DROPPED_CATEGORIES)
    text = _TAG.sub("", text)
    for markup in (_URL, _MUSIC, _BRACKETS):
        text = markup.sub(" ", text)
    text = _PARENTHESES.sub(lambda match: " " if _is_caption(match[1]) else match[0], text)
    return unicodedata.normalize("NFC", " ".join(text.replace("\ufffd", "").split()))


def _is_caption(inside: str) -> bool:
    """Whether a parenthesis names a sound: few words, one of them such a word."""
    return not inside.strip() or (len(inside.split()) <= 4 and bool(_SOUND.search(inside)))


def _spoken_letters(letters: str) -> str:
    if len(letters) == 1 and letters.lower() not in "ai":
        return letters.upper()
    return re.sub(r"(.)\1{2,}", r"\1\1", letters.lower())


def _number_words(digits: str) -> list[str]:
    """English for a whole number; codes and long numbers are read digit by digit."""
    value = int(digits[:7])
    if len(digits) > 6 or (digits[0] == "0" and len(digits) > 1):
        return [_ONES[int(digit)] for digit in digits]
    if value < 20:
        return [_ONES[value]]
    if value < 100:
        return [_TENS[value // 10 - 2], *([_ONES[value % 10]] if value % 10 else [])]
    # Years and house numbers are read in pairs.
    if 1100 <= value < 2000 and value % 100 >= 10:
        return _number_words(str(value // 100)) + _number_words(str(value % 100))
    unit, name = (100, "hundred") if value < 1000 else (1000, "thousand")
    rest = _number_words(str(value % unit)) if value % unit else []
    return [*_number_words(str(value // unit)), name, *rest]


if __name__ == "__main__":
    run_command("preprocess", "text")
