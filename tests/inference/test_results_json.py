"""A prediction's JSON is read back as it was, and nothing else is taken for one."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from conversation_factory import conversation, seen, shows, spoken

from avt_memocmt.errors import AvtError
from avt_memocmt.inference.captions import CaptionUse
from avt_memocmt.inference.results import MediaPrediction, Speaker, to_json
from avt_memocmt.inference.results_json import prediction_from_json, prediction_schema

SCHEMA = Path(__file__).parents[2] / "docs/prediction.schema.json"


def talk() -> MediaPrediction:
    known = conversation(
        spoken(0, 1.5, "S1", "joy", face="F1", faces=[shows("F1", "joy"), shows("F2", "anger")]),
        spoken(1.5, 4, None, "fear", min_confidence=0.99, warnings=("speaker_uncertain",)),
        spoken(4, 4, "Ünlü\n", "sadness", text='"; \\ \u202e\x00'),
        speakers=[Speaker("S1", "Anna", 1.5, "F1"), Speaker("Ünlü\n", None, 0.0)],
        faces=[seen("F1"), seen("F2")],
    )
    use = CaptionUse(3, {"broken": 1}, 3600.0)
    return replace(known, captions=use, picture_size=(640, 480), warnings=("truncated",))


def test_what_is_written_is_read_back() -> None:
    written = to_json(talk())
    found = prediction_from_json(json.loads(json.dumps(written)))
    assert to_json(found) == written
    assert found.captions == talk().captions
    assert [turn.emotion for turn in found.utterances] == ["joy", "uncertain", "sadness"]
    assert found.faces[0].thumbnail is None


def test_the_named_emotion_stays_where_rounding_made_two_equal() -> None:
    turn = replace(
        spoken(0, 1, None, "joy"),
        probabilities=(0.30001, 0.1, 0.1, 0.1, 0.30002, 0.05, 0.04997),
    )
    written = to_json(conversation(turn))
    assert written["utterances"][0]["probabilities"]["neutral"] == 0.3
    assert to_json(prediction_from_json(written)) == written


def changed(*place: str | int, value: Any) -> dict[str, Any]:
    """The JSON of a prediction with another value in one place."""
    written = copy.deepcopy(to_json(talk()))
    part: Any = written
    for step in place[:-1]:
        part = part[step]
    part[place[-1]] = value
    return written


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "the whole"),
        ([], "the whole"),
        ({}, "media: field required"),
        (changed("duration", value="3"), "duration"),
        (changed("duration", value=float("nan")), "duration"),
        (changed("utterances", 0, "emotion", value="rage"), "utterances.0.emotion"),
        (changed("utterances", 1, "end", value=0.5), "ends before it starts"),
        (changed("utterances", 0, "probabilities", value={"joy": 1.0}), "probabilities.neutral"),
        (changed("utterances", 0, "confidence", value=1.5), "utterances.0.confidence"),
        (changed("picture", value=[640]), "picture"),
    ],
)
def test_anything_else_is_refused_with_the_place(value: object, said: str) -> None:
    with pytest.raises(AvtError, match="no prediction of avt-memocmt") as refused:
        prediction_from_json(value)
    assert said in str(refused.value)


def test_fields_of_later_versions_and_none_of_earlier_ones_are_no_fault() -> None:
    written = to_json(talk()) | {"mood": "good"}
    del written["picture"], written["speakers"]
    assert prediction_from_json(written).speakers == ()


def test_the_published_schema_is_the_one_that_is_read_by() -> None:
    assert json.loads(SCHEMA.read_text()) == prediction_schema(), (
        "write it anew: python scripts/write_prediction_schema.py"
    )
    jsonschema.validate(to_json(talk()), prediction_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(changed("utterances", 0, "emotion", value="rage"), prediction_schema())
