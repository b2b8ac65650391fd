"""Names, order and colours of the emotions, and the labels that corpora use for them."""

from __future__ import annotations

from avt_memocmt.errors import AvtError

EMOTIONS: tuple[str, ...] = (
    "neutral",
    "surprise",
    "fear",
    "sadness",
    "joy",
    "disgust",
    "anger",
)
"""The seven classes in MELD's own order; a class index means a position in this tuple."""

NUM_EMOTIONS = len(EMOTIONS)

SENTIMENTS: tuple[str, ...] = ("negative", "neutral", "positive")
"""MELD's third label; a class index means a position in this tuple."""

UNCERTAIN = "uncertain"
"""Stands in place of an emotion whose probability is below the least that the user asks for."""

# Okabe & Ito (2008): distinguishable with every common form of colour blindness.
COLOURS: dict[str, str] = {
    "neutral": "#999999",
    "surprise": "#56B4E9",
    "fear": "#CC79A7",
    "sadness": "#0072B2",
    "joy": "#E69F00",
    "disgust": "#009E73",
    "anger": "#D55E00",
    UNCERTAIN: "#E5E5E5",
}

_SYNONYMS: dict[str, str] = {
    **{name: name for name in EMOTIONS},
    "calm": "neutral",
    "neu": "neutral",
    "surprised": "surprise",
    "pleasant_surprise": "surprise",
    "ps": "surprise",
    "sur": "surprise",
    "fearful": "fear",
    "afraid": "fear",
    "fea": "fear",
    "sad": "sadness",
    "happy": "joy",
    "happiness": "joy",
    "hap": "joy",
    "disgusted": "disgust",
    "dis": "disgust",
    "angry": "anger",
    "ang": "anger",
}

_SENTIMENT_SYNONYMS = {**{s: s for s in SENTIMENTS}, **{s[:3]: s for s in SENTIMENTS}}

RAVDESS_CODES: dict[str, str] = {
    "01": "neutral",
    "02": "neutral",  # calm
    "03": "joy",
    "04": "sadness",
    "05": "anger",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}
"""RAVDESS file names carry the emotion as their third field (Livingstone & Russo 2018)."""

IEMOCAP_4: dict[str, str] = {
    "ang": "anger",
    "hap": "joy",
    "exc": "joy",
    "sad": "sadness",
    "neu": "neutral",
}
"""IEMOCAP's codes in the common task of four classes, in which excited is merged with happy."""

IEMOCAP_6: dict[str, str] = {
    "hap": "happy",
    "sad": "sad",
    "neu": "neutral",
    "ang": "angry",
    "exc": "excited",
    "fru": "frustrated",
}
"""IEMOCAP's codes in the common task of six classes, which are labels of their own: excited and
frustrated are none of the seven."""

IEMOCAP_6_LABELS: tuple[str, ...] = tuple(IEMOCAP_6.values())

FERPLUS_VOTES: tuple[str, ...] = (
    "neutral",
    "joy",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
)
"""The first seven of FER+'s ten vote columns that name one of our classes, in FER+'s order.

FER+ orders its columns neutral, happiness, surprise, sadness, anger, disgust, fear, contempt,
unknown, not-a-face (Barsoum et al. 2016)."""


def emotion_index(name: str) -> int:
    """Index in `EMOTIONS` of a label as corpora spell it ("happy", "Joy", "fearful").

    Raises:
        AvtError: the label is none of the seven classes nor a known synonym.
    """
    key = name.strip().lower().replace(" ", "_")
    if not key:
        raise AvtError(f"the emotion is missing; give one of {', '.join(EMOTIONS)}.")
    if key.isdigit():
        numbers = ", ".join(f"{number} {emotion}" for number, emotion in enumerate(EMOTIONS))
        raise AvtError(
            f"unknown emotion {name!r}: a number means another emotion in each corpus (in MELD's "
            f"files {numbers}); write the names."
        )
    if key not in _SYNONYMS:
        raise AvtError(
            f"unknown emotion {name!r}; use one of {', '.join(EMOTIONS)} (or a synonym such as "
            "happy, sad, angry)."
        )
    return EMOTIONS.index(_SYNONYMS[key])


def sentiment_index(name: str) -> int:
    """Index in `SENTIMENTS` of a label, whatever its capitals; also of "neg", "neu", "pos".

    Raises:
        AvtError: it is none of them.
    """
    key = name.strip().lower()
    if key not in _SENTIMENT_SYNONYMS:
        raise AvtError(f"unknown sentiment {name!r}; use one of {', '.join(SENTIMENTS)}.")
    return SENTIMENTS.index(_SENTIMENT_SYNONYMS[key])


def sentiment_of_score(score: float) -> int:
    """Index in `SENTIMENTS` of a sentiment from -3 to 3: its sign, as CMU-MOSEI's makers count it.

    They take a score under 0 for negative and one above 0 for positive (README of CMU-MOSEI in the
    CMU-MultimodalSDK), which leaves exactly 0 to be neutral.
    """
    return SENTIMENTS.index("neutral") + (score > 0) - (score < 0)
