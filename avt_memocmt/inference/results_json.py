"""The form of a prediction's JSON, by which it is read back and which docs publish as a schema."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator

from avt_memocmt.emotions import EMOTIONS, SENTIMENTS, UNCERTAIN
from avt_memocmt.errors import AvtError
from avt_memocmt.inference.captions import CaptionUse
from avt_memocmt.inference.results import (
    FacePrediction,
    MediaPrediction,
    ModalityUse,
    SeenFace,
    Speaker,
    UtterancePrediction,
)

_STRICT = ConfigDict(strict=True, allow_inf_nan=False)
Seconds = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Form(BaseModel):
    """Fields that are not known are left out, so that a later version's files can be read."""

    model_config = _STRICT


if TYPE_CHECKING:
    Emotion = str
    Sentiment = str
    Probabilities = _Form
    SentimentProbabilities = _Form
else:
    Emotion = Literal[(*EMOTIONS, UNCERTAIN)]
    Sentiment = Literal[SENTIMENTS]
    Probabilities = create_model(
        "Probabilities",
        __base__=_Form,
        __doc__="Of the seven classes.",
        **{name: (Share, ...) for name in EMOTIONS},
    )
    SentimentProbabilities = create_model(
        "SentimentProbabilities",
        __base__=_Form,
        __doc__="Of the three classes of sentiment.",
        **{name: (Share, ...) for name in SENTIMENTS},
    )


class Modality(_Form):
    """Whether an utterance has a modality, how much it counted, and what it says alone."""

    present: bool
    weight: Share = Field(description="Share of its own decision in the utterance's; they sum to 1")
    probabilities: Probabilities | None = Field(description="Its own decision; null where absent")


class Modalities(_Form):
    """The three modalities of an utterance."""

    audio: Modality
    visual: Modality
    text: Modality


class FaceOfUtterance(_Form):
    """What one of the people who were seen during an utterance showed."""

    id: str = Field(description="One of the prediction's faces")
    speaks: bool
    seconds: Seconds = Field(description="For which it was seen")
    probabilities: Probabilities = Field(description="From this face alone")


class UtteranceForm(_Form):
    """The emotion of one utterance."""

    start: Seconds = Field(description="Seconds from the start of the media")
    end: Seconds = Field(description="Seconds from the start of the media")
    speaker: str | None = Field(description="Id of one of the speakers; null where not known")
    text: str = Field(description="The words; empty where there are none")
    text_source: Literal["given", "asr", "none"]
    emotion: Emotion = Field(
        description="The most probable class, or uncertain where that is not probable enough"
    )
    confidence: Share = Field(description="Probability of the most probable class")
    probabilities: Probabilities
    modalities: Modalities
    warnings: list[str] = Field(description="Names of problems; docs/inputs.md explains each")
    face: str | None = Field(default=None, description="Id of the face that counted")
    faces: list[FaceOfUtterance] = Field(default=[], description="Everybody seen, if asked for")
    sentiment: Sentiment | None = Field(
        default=None, description="The most probable sentiment, where the checkpoint has that head"
    )
    sentiment_probabilities: SentimentProbabilities | None = Field(
        default=None, description="There where the sentiment is"
    )

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> UtteranceForm:
        if self.end < self.start:
            raise ValueError("the utterance ends before it starts")
        return self


class SpeakerForm(_Form):
    """One of the people who were heard."""

    id: str
    name: str | None
    seconds: Seconds = Field(description="For which they speak")
    face: str | None = Field(description="Id of their face")


class FaceForm(_Form):
    """One of the people who were seen."""

    id: str
    seconds: Seconds = Field(description="For which they were seen")


class CaptionsForm(_Form):
    """What became of the captions that were given."""

    given: int = Field(ge=0)
    dropped: dict[str, int] = Field(description="How many were left out, by the reason")
    shifted: float = Field(description="Seconds by which all were moved towards the start")


class ModelForm(_Form):
    """What made the prediction."""

    preset: str
    version: str


class PredictionForm(_Form):
    """The emotion timeline of one input of avt-memocmt."""

    model_config = ConfigDict(**_STRICT, title="Prediction")

    media: str = Field(description="The path as it was given")
    duration: Seconds = Field(description="Seconds of the media; 0 for a still image")
    model: ModelForm
    utterances: list[UtteranceForm] = Field(description="In time order")
    warnings: list[str] = Field(description="Problems of the whole input")
    picture: Annotated[list[int], Field(min_length=2, max_length=2)] | None = Field(
        default=None, description="Width and height of the picture as it is shown, pixels"
    )
    speakers: list[SpeakerForm] = Field(default=[], description="In the order of appearance")
    faces: list[FaceForm] = Field(default=[], description="In the order of appearance")
    captions: CaptionsForm | None = Field(
        default=None, description="There where a transcript was given"
    )


def prediction_schema() -> dict[str, Any]:
    """The JSON Schema of what `to_json` returns."""
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, **PredictionForm.model_json_schema(mode="validation")}


def prediction_from_json(value: object) -> MediaPrediction:
    """Read what `to_json` returned.

    JSON holds neither thumbnails nor sampled faces, and of the least confidence only which
    utterances are uncertain for it.

    Args:
        value: of `json.loads`; anything.

    Raises:
        AvtError: it is no prediction; the message says where it differs.
    """
    try:
        form = PredictionForm.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise AvtError(
            f"this is no prediction of avt-memocmt ({place}: {first['msg'].lower()}); give an "
            "object that `predict --json` printed, or one item of predictions.json."
        ) from error
    captions = form.captions
    return MediaPrediction(
        form.media,
        form.duration,
        form.model.preset,
        form.model.version,
        tuple(map(_utterance, form.utterances)),
        tuple(form.warnings),
        None
        if captions is None
        else CaptionUse(captions.given, captions.dropped, captions.shifted),
        tuple(Speaker(who.id, who.name, who.seconds, who.face) for who in form.speakers),
        tuple(SeenFace(face.id, face.seconds, None) for face in form.faces),
        None if form.picture is None else (form.picture[0], form.picture[1]),
    )


def _utterance(form: UtteranceForm) -> UtterancePrediction:
    probabilities = _values(form.probabilities)
    if form.emotion != UNCERTAIN:
        probabilities = _likeliest(probabilities, EMOTIONS.index(form.emotion))
    sentiment = None
    if form.sentiment is not None and form.sentiment_probabilities is not None:
        own = tuple(getattr(form.sentiment_probabilities, name) for name in SENTIMENTS)
        sentiment = _likeliest(own, SENTIMENTS.index(form.sentiment))
    uses = {name: getattr(form.modalities, name) for name in type(form.modalities).model_fields}
    return UtterancePrediction(
        form.start,
        form.end,
        form.speaker,
        form.text,
        form.text_source,
        probabilities,
        {
            name: ModalityUse(
                use.present, use.weight, use.probabilities and _values(use.probabilities)
            )
            for name, use in uses.items()
        },
        tuple(form.warnings),
        math.nextafter(max(probabilities), 2.0) if form.emotion == UNCERTAIN else 0.0,
        form.face,
        tuple(
            FacePrediction(face.id, face.speaks, face.seconds, _values(face.probabilities))
            for face in form.faces
        ),
        sentiment,
    )


def _likeliest(probabilities: tuple[float, ...], named: int) -> tuple[float, ...]:
    """Let the named class be the likeliest: rounding may have made two classes equal."""
    most = max(probabilities)
    return tuple(
        math.nextafter(p, 2.0) if place == named and p == most else p
        for place, p in enumerate(probabilities)
    )


def _values(probabilities: Probabilities) -> tuple[float, ...]:
    return tuple(getattr(probabilities, name) for name in EMOTIONS)
