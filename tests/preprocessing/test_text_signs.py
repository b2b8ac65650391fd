"""Emoji, emoticons and fancy letters are written out; every other word stays as it is."""

from __future__ import annotations

import pytest

from avt_memocmt.preprocessing.text_preprocess import clean_text, split_words
from avt_memocmt.preprocessing.text_signs import written_out


def read(text: str) -> str:
    return " ".join(written_out(word) for word in split_words(clean_text(text)))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("😭", "loudly crying face"),
        ("Great🙂!", "Great slightly smiling face !"),
        ("no 😂😂😂", "no face with tears of joy"),
        ("❤️❤️", "red heart"),
        ("☹️", "sad face"),
        ("👍🏽", "thumbs up"),
        ("🤷🏽‍♀️", "person shrugging"),
        ("🫠", "melting face"),  # of Unicode 14
        ("fine :)", "fine slightly smiling face"),
        ("fine :-))).", "fine slightly smiling face."),
        (":( :'( >:(", "disappointed face crying face angry face"),
        ("ok ;-)", "ok winking face"),
        ("<3 </3", "red heart broken heart"),
        ("xD T_T =D", "grinning squinting face loudly crying face grinning face"),
        ("𝓘 𝓪𝓶 𝓼𝓪𝓭", "I am sad"),
        ("Ｉ ａｍ ｓａｄ！", "I am sad!"),
        ("ﬁne", "fine"),
    ],
)
def test_signs_become_words(text: str, wanted: str) -> None:
    assert read(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "Oh -- my God!",
        "At 8:30 (or 9:00)...",
        "Ross: what? D: no",
        "either/or 3/4 #1 *",
        "naïve café Brzeziński",
        "мне грустно",
        "난 슬퍼",
        ": ) x X < 3",
    ],
)
def test_everything_else_stays(text: str) -> None:
    assert read(text) == " ".join(split_words(clean_text(text)))


def test_writing_out_twice_changes_nothing() -> None:
    for text in ("😭 :) </3 👩‍❤️‍👨 🇺🇸 1️⃣ ©", "𝓘 ½ ™"):
        assert read(read(text)) == read(text)
