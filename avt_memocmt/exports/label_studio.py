"""Tasks with predictions for Label Studio.

`CONFIG` and `IMAGE_CONFIG` are the labelling interfaces of the projects that import them: a film is
labelled on the waveform of its sound, with the picture beside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from avt_memocmt.emotions import COLOURS, EMOTIONS, UNCERTAIN
from avt_memocmt.exports.media_link import file_name, media_type
from avt_memocmt.exports.plain_text import clean, milliseconds, who
from avt_memocmt.files import write_text_atomically
from avt_memocmt.inference.results import MediaPrediction, UtterancePrediction, speaker_names
from avt_memocmt.json_files import json_text

_LABELS = "".join(
    f'<Label value="{name}" background="{COLOURS[name]}"/>' for name in (*EMOTIONS, UNCERTAIN)
)
_CHOICES = "".join(f'<Choice value="{name}"/>' for name in (*EMOTIONS, UNCERTAIN))
CONFIG = f"""\
<View>
  <Labels name="emotion" toName="media">{_LABELS}</Labels>
  <Video name="video" value="$media" sync="media"/>
  <Audio name="media" value="$media" sync="video"/>
  <TextArea name="speaker" toName="media" perRegion="true"/>
  <TextArea name="text" toName="media" perRegion="true"/>
</View>
"""
"""Of films; without the line <Video> and without sync of recordings."""
IMAGE_CONFIG = f"""\
<View>
  <Image name="media" value="$media"/>
  <Choices name="emotion" toName="media">{_CHOICES}</Choices>
</View>
"""
"""Of pictures."""


def write(prediction: MediaPrediction, path: Path) -> None:
    """Write a list with one task; its data name the media, which the project has to find."""
    names = speaker_names(prediction)
    results = [
        result
        for number, spoken in enumerate(prediction.utterances)
        for result in (
            [_choice(spoken)]
            if _is_picture(prediction)
            else _region(f"u{number}", spoken, who(spoken, names))
        )
    ]
    found: dict[str, Any] = {
        "model_version": f"avt-memocmt {prediction.version} {prediction.preset}",
        "result": results,
    }
    if chances := [spoken.confidence for spoken in prediction.utterances]:
        found["score"] = round(sum(chances) / len(chances), 4)
    task = {"data": {"media": clean(file_name(prediction.media))}, "predictions": [found]}
    write_text_atomically(path, json_text([task], indent=2) + "\n")


def _is_picture(prediction: MediaPrediction) -> bool:
    return prediction.duration == 0 and media_type(prediction.media).startswith("image/")


def _choice(spoken: UtterancePrediction) -> dict[str, Any]:
    return {
        "from_name": "emotion",
        "to_name": "media",
        "type": "choices",
        "value": {"choices": [spoken.emotion]},
        "score": round(spoken.confidence, 4),
    }


def _region(name: str, spoken: UtterancePrediction, speaker: str) -> list[dict[str, Any]]:
    """A stretch of sound with its emotion, and what belongs to it under the same id."""
    start, end = (time / 1000 for time in milliseconds(spoken))
    place = {"start": start, "end": end, "channel": 0}
    region = {
        "id": name,
        "from_name": "emotion",
        "to_name": "media",
        "type": "labels",
        "value": place | {"labels": [spoken.emotion]},
        "score": round(spoken.confidence, 4),
    }
    texts = {"speaker": speaker, "text": clean(spoken.text)}
    return [region] + [
        {
            "id": name,
            "from_name": kind,
            "to_name": "media",
            "type": "textarea",
            "value": place | {"text": [text]},
        }
        for kind, text in texts.items()
        if text
    ]
