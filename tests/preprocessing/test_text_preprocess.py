import csv
import random
from pathlib import Path

import pytest

from avt_memocmt.preprocessing.text_preprocess import clean_text, split_words, spoken_words

FRAGMENTS = (
    *("&amp;", "&lt;", "&#146;", "&", "<", ">", "<i>", "</i>", "b>", "lt;", "amp;", "[", "]", "("),
    *(")", "laughs", "{\\an8}", "â€™", "â€", "™", "Ã", "©", "Â", "\xa0", "\x92", "\x85", "é’”"),
    *(
        "\u200b",
        "\u200d",
        "e\u0301",
        "…",
        "’",
        "“",
        " ",
        "\n",
        "\t",
        "♪",
        "#",
        "www.",
        "x.y",
        "\\N",
    ),
    *("😂", "Don", "t", "!", "-", "—", "\ud83d", "\ufffd", "ð", "Ÿ", "ñ", "日本", "İ"),
)


LINES = (
    "Oh my God\u2026 You\u2019re here!",
    "I\u2019m fine\u2014really, I\u2019m fine.",
    "\u201cWe were here first,\u201d he said.",
    "So, caf\u00e9 or no caf\u00e9?",
    "She owes me $50 and a half\u2013eaten pie!",
    "No. 7, at 10:30, that\u2019s 1,000 \u20ac!",
    "Well--no... and/or   yes",
    "[She laughs] What?!",
    "HEY! Don't you \u2018Joey\u2019 me!",
    "Nooooo...",
    "Yes.",
    " ",
)
"""Lines with the signs that those of MELD have, for where the corpus is not given."""


@pytest.fixture(scope="module")
def utterances(corpora: Path | None) -> list[str]:
    if corpora is None:
        return list(LINES)
    rows: list[str] = []
    for split in ("train", "dev"):
        with (corpora / "meld" / f"{split}_sent_emo.csv").open(encoding="utf-8") as file:
            rows += [row["Utterance"] for row in csv.DictReader(file)]
    assert len(rows) == 9989 + 1109
    return rows


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("It\x92s the \x93best\x94\x85 yes \x96 no\x97now", 'It\'s the "best"... yes – no—now'),
        ("It’s the “best”… yes – no—now", 'It\'s the "best"... yes – no—now'),
        ("non\xa0breaking\u2003space\r\n\ttab", "non breaking space tab"),
        ("It’s â€œfineâ€\x9d â€” cafÃ© doesnâ€™t", "It's \"fine\" — café doesn't"),
        ("doubly mis-read: donÃ¢â‚¬â„¢t", "doubly mis-read: don't"),
        ("ðŸ˜‚ stays, and so does 😡", "😂 stays, and so does 😡"),
        ("the word ‘café’” in quotes", "the word 'café'\" in quotes"),
        ("zero\u200bwidth\ufeff soft\u00adhyphen bell\x07", "zerowidth softhyphen bell"),
        ("<i>Don</i>'t <b class='x'>go</b><br/>now {\\an8}please\\Nyes", "Don't go now please yes"),
        (
            "Tom &amp; Jerry &lt;3 &#8217;s &quot;AT&T&quot; &nbsp;ok",
            'Tom & Jerry <3 \'s "AT&T" ok',
        ),
        ("&amp;amp;lt;i&amp;amp;gt;nested", "nested"),
        ("1 < 2 and 3 > 2, I <3 you", "1 < 2 and 3 > 2, I <3 you"),
        ("Great. [she [really] laughs] Bye", "Great. Bye"),
        ("(sighs) Fine. (I mean it) (DOOR SLAMS)", "Fine. (I mean it)"),
        ("♪ Happy birthday ♪ # to you # No. #1", "Happy birthday to you No. #1"),
        ("see https://a.b/c?d=e. and www.x.org, Ewww. Yeah", "see . and , Ewww. Yeah"),
        (
            "Cafe\u0301 naïve Ünal Привет 日本 12,5 % NO!!",
            "Café naïve Ünal Привет 日本 12,5 % NO!!",
        ),
        ("[music]", ""),
        (" \t\n", ""),
    ],
)
def test_cleaning_repairs_and_keeps(raw: str, clean: str) -> None:
    assert clean_text(raw) == clean


def test_lowercase_is_asked_for() -> None:
    assert clean_text("NO, İt’s ÉTÉ", lowercase=True) == "no, i̇t's été"


def test_cleaning_twice_is_cleaning_once() -> None:
    draw = random.Random(7)
    for _ in range(3000):
        raw = "".join(draw.choices(FRAGMENTS, k=draw.randint(1, 9)))
        once = clean_text(raw)
        assert clean_text(once) == once, repr(raw)
        lower = clean_text(raw, lowercase=True)
        assert clean_text(lower, lowercase=True) == lower, repr(raw)
        assert not any(ord(char) < 32 or 0x7F <= ord(char) <= 0xA0 for char in once), repr(raw)


@pytest.mark.parametrize("unit", ["<a", "[", "(", "&amp", "{\\", "a]", "\u00e2\u20ac", "Ã"])
def test_long_unclosed_markup_stays_and_costs_linear_time(unit: str) -> None:
    hostile = unit * 50_000  # quadratic matching would take minutes
    assert clean_text(hostile) == hostile


def test_meld_rows_keep_their_words(utterances: list[str]) -> None:
    for raw in utterances:
        clean = clean_text(raw)
        assert clean or not raw.strip(), raw
        assert clean_text(clean) == clean, raw
        if "[" not in raw:  # two rows hold stage directions
            assert _letters(clean) == _letters(raw)


def _letters(text: str) -> str:
    return "".join(char for char in text if char.isalnum())


def test_old_and_new_copies_of_meld_clean_to_the_same(utterances: list[str]) -> None:
    changed = 0
    for raw in utterances:
        old = raw.encode("cp1252").decode("latin-1")  # what the older copies hold
        assert clean_text(old) == clean_text(raw), raw
        changed += old != raw
    assert changed / len(utterances) > 3000 / (9989 + 1109)


def test_words_keep_every_sign(utterances: list[str]) -> None:
    assert split_words('Well--no... "drop the——wow", Hi!How and/or 10:30, 1,000 don\'t —') == [
        *("Well--", "no...", '"drop', "the——", 'wow",', "Hi!", "How", "and/", "or", "10:30,"),
        *("1,000", "don't", "—"),
    ]
    assert split_words("  ") == []
    for raw in utterances:
        clean = clean_text(raw)
        words = split_words(clean)
        assert "".join(words) == clean.replace(" ", "")
        assert not any(set(word) & set(" \n") for word in words)


@pytest.mark.parametrize(
    ("word", "spoken"),
    [
        ("Don't!", ["don't"]),
        ("half-charred", ["half", "charred"]),
        ('"Mr.', ["mister"]),
        ("TV,", ["T", "V"]),
        ("SHH!", ["shh"]),
        ("Nooooo!", ["noo"]),
        ("F", ["F"]),
        ("x", ["X"]),
        ("I", ["i"]),
        ("A", ["a"]),
        ("p.m.", ["P", "M"]),
        ("0", ["zero"]),
        ("42", ["forty", "two"]),
        ("10:30", ["ten", "thirty"]),
        ("1995", ["nineteen", "ninety", "five"]),
        ("2004", ["two", "thousand", "four"]),
        ("$1,250", ["twelve", "fifty"]),
        ("305", ["three", "hundred", "five"]),
        ("90s", ["ninety"]),
        ("007", ["zero", "zero", "seven"]),
        ("120,000", ["one", "hundred", "twenty", "thousand"]),
        ("—", []),
        ("...", []),
        ("😂", []),
    ],
)
def test_spoken_form(word: str, spoken: list[str]) -> None:
    assert spoken_words(word) == spoken
