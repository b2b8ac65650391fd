"""The utterances of each speaker on tiers, as ELAN and Praat hold them: without overlaps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from avt_memocmt.exports.plain_text import clean, milliseconds, who
from avt_memocmt.inference.results import MediaPrediction, UtterancePrediction, speaker_names

OPINIONS = {"audio": "voice", "visual": "face", "text": "words"}
"""What the tiers of the modalities' own decisions are called."""
_NOBODY = "unknown"
"""Whose tier holds the utterances of which the speaker is not known."""


@dataclass
class Tier:
    """Utterances of one speaker that do not overlap.

    Attributes:
        name: of the speaker, in one line; no two tiers have the same.
        spans: start and end in milliseconds of each utterance, in time order.
    """

    name: str
    spans: list[tuple[int, int, UtterancePrediction]] = field(default_factory=list)


def speaker_tiers(prediction: MediaPrediction) -> list[Tier]:
    """The utterances of each speaker, in the order of appearance.

    Where utterances of one speaker overlap, as captions may, the later one moves to a further tier,
    "Anna (2)", so that nothing is cut.
    """
    names = speaker_names(prediction)
    known: dict[str | None, list[Tier]] = {}
    taken: set[str] = set()
    for spoken in sorted(prediction.utterances, key=milliseconds):
        start, end = milliseconds(spoken)
        tiers = known.setdefault(spoken.speaker, [])
        tier = next((one for one in tiers if one.spans[-1][1] <= start), None)
        if tier is None:
            tier = Tier(_free_name(who(spoken, names) or _NOBODY, taken))
            tiers.append(tier)
        tier.spans.append((start, end, spoken))
    return [tier for tiers in known.values() for tier in tiers]


def facts(utterance: UtterancePrediction) -> Iterator[tuple[str, str | None]]:
    """What the tiers of a speaker say of an utterance, by their kind; None = nothing is known."""
    yield "text", clean(utterance.text)
    yield "emotion", utterance.emotion
    yield "confidence", f"{utterance.confidence:.2f}"
    for modality, opinion in OPINIONS.items():
        use = utterance.modalities.get(modality)
        yield opinion, None if use is None else use.emotion


KINDS = ("text", "emotion", "confidence", *OPINIONS.values())
"""The kinds of tiers that each speaker has, in the order of `facts`."""


def _free_name(name: str, taken: set[str]) -> str:
    """A name that no other tier has, which is then taken."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name} ({number})"
    taken.add(free)
    return free
