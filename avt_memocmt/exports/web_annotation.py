"""Web Annotations (W3C Recommendation of 2017) on fragments of the media, in JSON-LD."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from avt_memocmt.exports.media_link import relative_link
from avt_memocmt.exports.plain_text import clean, milliseconds, who
from avt_memocmt.files import write_text_atomically
from avt_memocmt.inference.results import MediaPrediction, UtterancePrediction, speaker_names
from avt_memocmt.json_files import json_text

_FRAGMENTS = "http://www.w3.org/TR/media-frags/"
_TERMS = {"confidence": "urn:avt-memocmt:confidence"}
"""What the vocabulary of the W3C has no word for."""


def write(prediction: MediaPrediction, path: Path) -> None:
    """Write a page of annotations, one for each utterance."""
    names = speaker_names(prediction)
    source = relative_link(prediction.media, path.parent)
    is_still = prediction.duration == 0
    page = {
        "@context": ["http://www.w3.org/ns/anno.jsonld", _TERMS],
        "id": "#page",
        "type": "AnnotationPage",
        "startIndex": 0,
        "items": [
            {
                "id": f"#utterance-{number}",
                "type": "Annotation",
                "motivation": "classifying",
                "generator": {
                    "id": "#generator",
                    "type": "Software",
                    "name": f"avt-memocmt {prediction.version} {prediction.preset}",
                },
                "body": _bodies(spoken, who(spoken, names)),
                "target": source if is_still else _fragment(source, spoken),
            }
            for number, spoken in enumerate(prediction.utterances)
        ],
    }
    write_text_atomically(path, json_text(page, indent=2) + "\n")


def _bodies(spoken: UtterancePrediction, speaker: str) -> list[dict[str, Any]]:
    """The emotion, who speaks and what is said."""
    emotion = _body("classifying", spoken.emotion) | {"confidence": round(spoken.confidence, 4)}
    said = (("identifying", speaker), ("describing", clean(spoken.text)))
    return [emotion, *(_body(purpose, value) for purpose, value in said if value)]


def _body(purpose: str, value: str) -> dict[str, Any]:
    return {"type": "TextualBody", "purpose": purpose, "value": value, "format": "text/plain"}


def _fragment(source: str, spoken: UtterancePrediction) -> dict[str, Any]:
    start, end = (time / 1000 for time in milliseconds(spoken))
    return {
        "source": source,
        "selector": {
            "type": "FragmentSelector",
            "conformsTo": _FRAGMENTS,
            "value": f"t={start:.3f},{end:.3f}",
        },
    }
