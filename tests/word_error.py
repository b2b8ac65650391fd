"""Words of GRID clips and the word errors of a transcript."""

from __future__ import annotations

import re
from collections.abc import Sequence

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


GRID_WORDS: tuple[dict[str, str], ...] = (
    {"b": "bin", "l": "lay", "p": "place", "s": "set"},
    {"b": "blue", "g": "green", "r": "red", "w": "white"},
    {"a": "at", "b": "by", "i": "in", "w": "with"},
    {},
    {"z": "zero", **{str(i): word for i, word in enumerate(DIGITS)}},
    {"a": "again", "n": "now", "p": "please", "s": "soon"},
)


# Only names of single letters and digits, which sound the same however they are spelt.
HOMOPHONES = {
    **{"be": "b", "bee": "b", "see": "c", "sea": "c", "gee": "g", "eye": "i", "jay": "j"},
    **{"kay": "k", "oh": "o", "pea": "p", "are": "r", "tea": "t", "tee": "t", "you": "u"},
    **{"ex": "x", "why": "y", "won": "one", "to": "two", "too": "two", "for": "four"},
    **{"ate": "eight"},
}


def grid_words(name: str) -> list[str]:
    """Return the words of a GRID clip by its name: "bbaf2n" is "bin blue at f two now"."""
    return [words.get(letter, letter) for letter, words in zip(name, GRID_WORDS, strict=True)]


def normalized(text: str) -> list[str]:
    """Split a text into lower-case words; digits become words, names of letters become letters."""
    spaced = re.sub(r"(\d)", r" \1 ", text.lower())
    words = re.sub(r"[^a-z0-9']", " ", spaced).split()
    words = [DIGITS[int(word)] if word.isdigit() else word for word in words]
    return [HOMOPHONES.get(word, word) for word in words]


def word_errors(wanted: Sequence[str], found: Sequence[str]) -> int:
    """Return the Levenshtein distance: words substituted, left out or invented."""
    row = list(range(len(found) + 1))
    for i, a in enumerate(wanted, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(found, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]
