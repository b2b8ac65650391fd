"""Annotations for ELAN, in its EAF 3.0.

Of each speaker, the tier "text" holds the times. The others depend on it one to one, so that they
move with it; emotions come from a controlled vocabulary, which ELAN offers when one is changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from avt_memocmt.emotions import EMOTIONS, UNCERTAIN
from avt_memocmt.exports.media_link import absolute_link, media_type, relative_link
from avt_memocmt.exports.tiers import KINDS, Tier, facts, speaker_tiers
from avt_memocmt.files import write_atomically
from avt_memocmt.inference.results import MediaPrediction

_SPOKEN, _EMOTION, _NUMBER = "utterance", "emotion", "number"
"""Linguistic types."""
_VOCABULARY, _LANGUAGE = "emotions", "eng"
_WORDS = KINDS[0]
"""The kind of tier that holds the times."""
_LONGEST = 2**32 - 1  # milliseconds, of unsignedInt
_Slots = dict[tuple[str, int, int], str]
"""Names of times, by the tier, the number of the utterance in it, and 0 (start) or 1 (end)."""


def write(prediction: MediaPrediction, path: Path) -> None:
    """Write the tiers of all speakers, linked to the media."""
    document = Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": f"avt-memocmt {prediction.version}",
            "DATE": datetime.now(UTC).isoformat(timespec="seconds"),
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:noNamespaceSchemaLocation": "http://www.mpi.nl/tools/elan/EAFv3.0.xsd",
        },
    )
    header = SubElement(document, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    SubElement(
        header,
        "MEDIA_DESCRIPTOR",
        MEDIA_URL=absolute_link(prediction.media),
        RELATIVE_MEDIA_URL=relative_link(prediction.media, path.parent),
        MIME_TYPE=media_type(prediction.media),
    )
    tiers = speaker_tiers(prediction)
    annotations = _Annotations(document, _add_times(document, tiers))
    for tier in tiers:
        annotations.add(tier)
    last = SubElement(header, "PROPERTY", NAME="lastUsedAnnotationId")
    last.text = str(annotations.count)
    _add_types(document)
    ElementTree.indent(document)
    write_atomically(path, ElementTree.tostring(document, "UTF-8", xml_declaration=True))


def _add_times(document: Element, tiers: Sequence[Tier]) -> _Slots:
    """Add the times of all utterances in order, none shared, so that ELAN moves each by itself."""
    order = SubElement(document, "TIME_ORDER")
    times = sorted(
        (time, tier.name, row, side)
        for tier in tiers
        for row, span in enumerate(tier.spans)
        for side, time in enumerate(span[:2])
    )
    slots = {}
    for number, (time, name, row, side) in enumerate(times, start=1):
        slots[name, row, side] = slot = f"ts{number}"
        SubElement(order, "TIME_SLOT", TIME_SLOT_ID=slot, TIME_VALUE=str(min(time, _LONGEST)))
    return slots


class _Annotations:
    """Adds tiers with their annotations to a document.

    Attributes:
        count: of the annotations so far.
    """

    def __init__(self, document: Element, slots: _Slots) -> None:
        self._document, self._slots = document, slots
        self.count = 0

    def add(self, tier: Tier) -> None:
        """Add what is known of one speaker's utterances, a tier for each kind of fact."""
        known = [dict(facts(spoken)) for _, _, spoken in tier.spans]
        parents = self._add_words(tier, known)
        for kind in KINDS[1:]:
            element = self._add_tier(tier, kind)
            element.set("PARENT_REF", f"{_WORDS}@{tier.name}")
            for parent, found in zip(parents, known, strict=True):
                value = found[kind]
                if value is None:
                    continue
                about = {"ANNOTATION_REF": parent}
                if _type_of(kind) == _EMOTION:
                    about["CVE_REF"] = _entry(value)
                self._add(element, value, "REF_ANNOTATION", about)

    def _add_words(self, tier: Tier, known: Sequence[dict[str, str | None]]) -> list[str]:
        """Add the tier that holds the times, and return the ids of its annotations."""
        element = self._add_tier(tier, _WORDS)
        return [
            self._add(
                element,
                found[_WORDS],
                "ALIGNABLE_ANNOTATION",
                {
                    "TIME_SLOT_REF1": self._slots[tier.name, row, 0],
                    "TIME_SLOT_REF2": self._slots[tier.name, row, 1],
                },
            )
            for row, found in enumerate(known)
        ]

    def _add_tier(self, tier: Tier, kind: str) -> Element:
        return SubElement(
            self._document,
            "TIER",
            TIER_ID=f"{kind}@{tier.name}",
            PARTICIPANT=tier.name,
            LINGUISTIC_TYPE_REF=_type_of(kind),
        )

    def _add(self, tier: Element, value: str | None, kind: str, about: dict[str, str]) -> str:
        """Add an annotation with its attributes, and return its id."""
        self.count += 1
        name = f"a{self.count}"
        annotation = SubElement(
            SubElement(tier, "ANNOTATION"), kind, {"ANNOTATION_ID": name, **about}
        )
        SubElement(annotation, "ANNOTATION_VALUE").text = value
        return name


def _type_of(kind: str) -> str:
    """The linguistic type of a kind of tier."""
    return {_WORDS: _SPOKEN, "confidence": _NUMBER}.get(kind, _EMOTION)


def _entry(emotion: str) -> str:
    """Id of an emotion in the vocabulary."""
    return f"cve_{emotion}"


def _add_types(document: Element) -> None:
    """Say what the tiers are, and which emotions there are."""
    association = "Symbolic_Association"
    SubElement(
        document, "LINGUISTIC_TYPE", LINGUISTIC_TYPE_ID=_SPOKEN,
        TIME_ALIGNABLE="true", GRAPHIC_REFERENCES="false",
    )  # fmt: skip
    for name in (_EMOTION, _NUMBER):
        kind = SubElement(
            document, "LINGUISTIC_TYPE", LINGUISTIC_TYPE_ID=name, CONSTRAINTS=association,
            TIME_ALIGNABLE="false", GRAPHIC_REFERENCES="false",
        )  # fmt: skip
        if name == _EMOTION:
            kind.set("CONTROLLED_VOCABULARY_REF", _VOCABULARY)
    SubElement(document, "LANGUAGE", LANG_ID=_LANGUAGE, LANG_LABEL="English (eng)")
    SubElement(
        document, "CONSTRAINT", STEREOTYPE=association,
        DESCRIPTION="1-1 association with a parent annotation",
    )  # fmt: skip
    vocabulary = SubElement(document, "CONTROLLED_VOCABULARY", CV_ID=_VOCABULARY)
    SubElement(vocabulary, "DESCRIPTION", LANG_REF=_LANGUAGE).text = "Emotions of avt-memocmt"
    for emotion in (*EMOTIONS, UNCERTAIN):
        entry = SubElement(vocabulary, "CV_ENTRY_ML", CVE_ID=_entry(emotion))
        SubElement(entry, "CVE_VALUE", LANG_REF=_LANGUAGE).text = emotion
