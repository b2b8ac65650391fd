"""Signs that stand for words, written out so that an encoder of words can read them."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

_EMOTICON = re.compile(
    r"(?P<brow>>)?(?:(?P<eyes>[:;=])(?P<tear>')?[-o^]?(?P<mouth>[()\[\]DdPpOo/\\|])(?P=mouth)*"
    r"|(?P<heart></?3+)|(?P<laugh>[xX]D+)|(?P<cry>T_+T))(?P<end>[.,!?]*)"
)
_MOUTHS = {
    **dict.fromkeys(")]", "slightly smiling face"),
    **dict.fromkeys("([", "disappointed face"),
    **dict.fromkeys("/\\", "confused face"),
    **{"d": "grinning face", "p": "face with tongue", "o": "face with open mouth"},
    "|": "neutral face",
}
_FEELINGS = {"frowning": "sad"}
"""What is meant by a name that says how the face is drawn."""
_REPEATED = re.compile(r"([^\w\s\x00-\x7f]\ufe0f?)\1+")
_SKIN = re.compile("[\U0001f3fb-\U0001f3ff]")
# What is left of "a woman shrugging" once the joiner between its signs is gone.
_GENDER = re.compile("(?<=[\U0001f300-\U0001faff])[\u2640\u2642]\ufe0f?")


def written_out(word: str) -> str:
    """One word of `split_words` with the names of its signs in place of them.

    Emoji become their English names (without the colour of skin, and once where they are repeated),
    emoticons such as ":)" and "</3" the name of the emoji, letters in fancy forms ("𝓼𝓪𝓭", full
    width) plain letters. Any other word comes back as it is.
    """
    if word.isascii():
        found = _EMOTICON.fullmatch(word)
        return word if found is None else f"{_emoticon_name(found)}{found['end']}"
    import emoji  # its table takes 70 ms to load

    bare = _GENDER.sub("", _SKIN.sub("", word))
    named = emoji.replace_emoji(_REPEATED.sub(r"\1", bare), _emoji_name)
    plain = unicodedata.normalize("NFKC", named).replace("\ufe0f", "")
    return " ".join(plain.split()) or word


def _emoji_name(sign: str, about: dict[str, Any]) -> str:
    name = about["en"].strip(":").split("_")
    return f" {' '.join(_FEELINGS.get(part, part) for part in name)} "


def _emoticon_name(found: re.Match[str]) -> str:
    if found["heart"]:
        return "broken heart" if "/" in found["heart"] else "red heart"
    if found["laugh"]:
        return "grinning squinting face"
    if found["cry"]:
        return "loudly crying face"
    mouth = found["mouth"].lower()
    sad = mouth in "(["
    if found["brow"]:
        return "angry face" if sad else _MOUTHS[mouth]
    if found["tear"]:
        return "crying face" if sad else "face with tears of joy"
    if found["eyes"] == ";" and mouth in ")]":
        return "winking face"
    return _MOUTHS[mouth]
