"""Predictions and their JSON form, which is the format of `predictions.json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from avt_memocmt.emotions import EMOTIONS, SENTIMENTS, UNCERTAIN
from avt_memocmt.inference.captions import CaptionUse

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ModalityUse:
    """Whether an utterance has a modality, and how much it counted in the decision.

    Attributes:
        present: whether the utterance has it.
        weight: share of its own decision in the pool of them (the model's gate), 0 to 1; the shares
            of an utterance sum to 1.
        probabilities: that decision, from this modality alone, in the order of `EMOTIONS`; None
            where the modality is absent.
    """

    present: bool
    weight: float
    probabilities: tuple[float, ...] | None = None

    @property
    def emotion(self) -> str | None:
        """The most probable class of that decision; None where the modality is absent."""
        if self.probabilities is None:
            return None
        return EMOTIONS[self.probabilities.index(max(self.probabilities))]


@dataclass(frozen=True)
class FacePrediction:
    """What one of the people who were seen during an utterance showed.

    Attributes:
        id: of one of `MediaPrediction.faces`.
        speaks: whether it is the face of who speaks.
        seconds: for which it was seen.
        probabilities: of the seven classes in the order of `EMOTIONS`, from this face alone.
    """

    id: str
    speaks: bool
    seconds: float
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class UtterancePrediction:
    """The emotion of one utterance.

    Attributes:
        start: seconds from the start of the media.
        end: seconds from the start of the media.
        speaker: id of one of `MediaPrediction.speakers`; None where that is not known.
        text: the words, "" where there are none.
        text_source: "given", "asr" (the packaged recogniser) or "none".
        probabilities: of the seven classes in the order of `EMOTIONS`.
        modalities: by name: audio, visual, text.
        warnings: names of problems that a user should know, such as "no_face".
        min_confidence: least probability at which an emotion is named, 0 to 1.
        face: id of the face that counted, one of `MediaPrediction.faces`; None where there is none.
        faces: every face that was seen, where all were asked for.
        sentiment_probabilities: of the three classes in the order of `SENTIMENTS`; None from a
            checkpoint without that head.
    """

    start: float
    end: float
    speaker: str | None
    text: str
    text_source: str
    probabilities: tuple[float, ...]
    modalities: dict[str, ModalityUse]
    warnings: tuple[str, ...] = ()
    min_confidence: float = 0.0
    face: str | None = None
    faces: tuple[FacePrediction, ...] = ()
    sentiment_probabilities: tuple[float, ...] | None = None

    @property
    def sentiment(self) -> str | None:
        """The most probable sentiment; None from a checkpoint without that head."""
        found = self.sentiment_probabilities
        return None if found is None else SENTIMENTS[found.index(max(found))]

    @property
    def emotion(self) -> str:
        """The most probable class, or "uncertain" where that is less than `min_confidence`."""
        return UNCERTAIN if self.confidence < self.min_confidence else self.likeliest

    @property
    def likeliest(self) -> str:
        """The most probable class, even below `min_confidence`."""
        return EMOTIONS[self.probabilities.index(self.confidence)]

    @property
    def confidence(self) -> float:
        """Probability of `likeliest`."""
        return max(self.probabilities)


@dataclass(frozen=True)
class Speaker:
    """One of the people who were heard.

    Attributes:
        id: the name that captions give, or "S1", "S2" in the order of appearance.
        name: of the person, where captions or the user say it.
        seconds: for which they speak.
        face: id of their face, one of `MediaPrediction.faces`; None where it was not seen.
    """

    id: str
    name: str | None
    seconds: float
    face: str | None = None


@dataclass(frozen=True)
class SeenFace:
    """One of the people who were seen.

    Attributes:
        id: "F1", "F2" in the order of appearance.
        seconds: for which they were seen.
        thumbnail: uint8 RGB [112, 112, 3], their face; None where it was read from JSON.
    """

    id: str
    seconds: float
    thumbnail: NDArray[np.uint8] | None = field(compare=False, repr=False)


@dataclass(frozen=True)
class SampledFace:
    """One face in one sampled picture.

    Attributes:
        time: at which the picture appears, seconds from the start of the media.
        box: left, top, width and height in pixels of the picture as it is shown, upright and in
            full size; may reach beyond it.
        id: of one of `MediaPrediction.faces`; None where faces are not told apart, or the face was
            seen in no utterance.
        speaks: whether it is the face that counted in the utterance of the picture.
        probabilities: of the seven classes in the order of `EMOTIONS`, from this face in this
            picture alone; None where they were not asked for.
        until: when the next sampled picture takes its place, seconds from the start of the media.
    """

    time: float
    box: tuple[float, float, float, float]
    id: str | None
    speaks: bool
    probabilities: tuple[float, ...] | None
    until: float


@dataclass(frozen=True)
class MediaPrediction:
    """The emotion timeline of one input.

    Attributes:
        media: the path as the user gave it, as valid text; or what else was given, as "<bytes>".
        duration: seconds of the media; 0 for a still image.
        preset: name of the preset of the model.
        version: version of the package.
        utterances: in time order.
        warnings: problems of the whole input, such as "truncated".
        captions: what became of the transcript that was given, or None.
        speakers: who was heard, in the order of appearance.
        faces: who was seen, in the order of appearance.
        picture_size: width and height of the first picture as it is shown, upright and with square
            pixels; None where there is no picture.
        sampled_faces: the faces of every sampled picture in time order, where they were asked for.
    """

    media: str
    duration: float
    preset: str
    version: str
    utterances: tuple[UtterancePrediction, ...]
    warnings: tuple[str, ...] = ()
    captions: CaptionUse | None = None
    speakers: tuple[Speaker, ...] = ()
    faces: tuple[SeenFace, ...] = ()
    picture_size: tuple[int, int] | None = None
    sampled_faces: Sequence[SampledFace] = field(default=(), compare=False, repr=False)

    def to_frame(self) -> pd.DataFrame:
        """A tidy table for analysis: one row for each utterance.

        The columns are those of the export `csv`; see `results_table.COLUMNS`.

        Raises:
            AvtError: pandas, of the extra `tables`, is not installed.
        """
        from avt_memocmt.inference.results_table import to_frame

        return to_frame(self)


def speaker_names(prediction: MediaPrediction) -> dict[str, str]:
    """What each speaker is called, by id."""
    return {who.id: who.name or who.id for who in prediction.speakers}


@dataclass(frozen=True)
class StreamEvent:
    """One decision about one utterance.

    Attributes:
        kind: "provisional" while somebody speaks; "final" at the end of the utterance; "revised"
            when its words were recognised after that.
        number: of the utterance, from 0.
        prediction: the decision; its times count from the start of the stream.
        at: seconds of the stream that had been read when the decision was due.
    """

    kind: Literal["provisional", "final", "revised"]
    number: int
    prediction: UtterancePrediction
    at: float

    def to_json(self) -> dict[str, Any]:
        """One line of `avt-memocmt stream`."""
        return {
            "event": self.kind,
            "utterance": self.number,
            "at": round(self.at, 3),
            **utterance_json(self.prediction),
        }


def to_json(prediction: MediaPrediction) -> dict[str, Any]:
    """The JSON object of one input; "captions" is there where a transcript was given."""
    captions = prediction.captions
    return {
        "media": prediction.media,
        "duration": round(prediction.duration, 3),
        "model": {"preset": prediction.preset, "version": prediction.version},
        "utterances": [utterance_json(utterance) for utterance in prediction.utterances],
        "warnings": list(prediction.warnings),
        "picture": None if prediction.picture_size is None else list(prediction.picture_size),
        "speakers": [
            {"id": who.id, "name": who.name, "seconds": round(who.seconds, 3), "face": who.face}
            for who in prediction.speakers
        ],
        "faces": [{"id": face.id, "seconds": round(face.seconds, 3)} for face in prediction.faces],
    } | ({} if captions is None else {"captions": captions.to_json()})


def utterance_json(utterance: UtterancePrediction) -> dict[str, Any]:
    """The JSON object of one utterance; its sentiment is there where the checkpoint has it."""
    return {
        "start": round(utterance.start, 3),
        "end": round(utterance.end, 3),
        "speaker": utterance.speaker,
        "text": utterance.text,
        "text_source": utterance.text_source,
        "emotion": utterance.emotion,
        "confidence": round(utterance.confidence, 4),
        "probabilities": _named(utterance.probabilities),
        "modalities": {
            name: {
                "present": use.present,
                "weight": round(use.weight, 4),
                "probabilities": None if use.probabilities is None else _named(use.probabilities),
            }
            for name, use in utterance.modalities.items()
        },
        "warnings": list(utterance.warnings),
        "face": utterance.face,
        "faces": [
            {
                "id": face.id,
                "speaks": face.speaks,
                "seconds": round(face.seconds, 3),
                "probabilities": _named(face.probabilities),
            }
            for face in utterance.faces
        ],
    } | _sentiment_json(utterance)


def _sentiment_json(utterance: UtterancePrediction) -> dict[str, Any]:
    found = utterance.sentiment_probabilities
    if found is None:
        return {}
    return {
        "sentiment": utterance.sentiment,
        "sentiment_probabilities": _named(found, SENTIMENTS),
    }


def _named(probabilities: tuple[float, ...], names: Sequence[str] = EMOTIONS) -> dict[str, float]:
    return {name: round(p, 4) for name, p in zip(names, probabilities, strict=True)}
