"""The people of a conversation: what each is called, and their lanes over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from avt_memocmt.inference.results import (
    MediaPrediction,
    SeenFace,
    Speaker,
    UtterancePrediction,
    speaker_names,
)
from avt_memocmt.report.judgements import alone, emotion_shares
from avt_memocmt.wording import clock, percent

MOST_LISTENERS = 20
"""People with a lane though they were never heard: passers-by of an hour would fill the page."""
NARROWEST = 0.2
"""Width of a bar in percent of its lane, so that a very short utterance can still be seen."""

NAMED = 2.5
"""Least width of a bar, percent of its lane, that can hold the first letters of an emotion."""


@dataclass(frozen=True)
class Bar:
    """One utterance in a lane.

    Attributes:
        left: edge, percent of the lane.
        width: percent of the lane.
        emotion: or "uncertain".
        likeliest: the emotion, even where it is uncertain.
        told: times, emotion and probability in words.
        speaks: whether the person of the lane is who speaks.
    """

    left: float
    width: float
    emotion: str
    likeliest: str
    told: str
    speaks: bool


@dataclass(frozen=True)
class Lane:
    """A row of bars over the time of the media.

    Attributes:
        name: "speaks", or "face" for what the face alone shows.
        bars: in time order.
        shares: each emotion's share of the time of the bars, largest first.
    """

    name: str
    bars: tuple[Bar, ...]
    shares: list[tuple[str, float]]


@dataclass(frozen=True)
class Person:
    """Somebody who was heard or seen.

    Attributes:
        name: None where it is not known who speaks.
        face: id of their face, or None.
        facts: how long they speak, or are seen; "" of a still image.
        lanes: what they say, and what their face shows where all faces were asked for.
    """

    name: str | None
    face: str | None
    facts: str
    lanes: tuple[Lane, ...]


def face_names(prediction: MediaPrediction) -> dict[str, str]:
    """What each face is called, by id: its speaker's name, or the id itself."""
    names = {face.id: face.id for face in prediction.faces}
    shown = speaker_names(prediction)
    return names | {who.face: shown[who.id] for who in prediction.speakers if who.face is not None}


def people(prediction: MediaPrediction) -> list[Person]:
    """Everybody with a lane: speakers, then who was only seen, then what nobody known says.

    Those who were only seen are there where all faces were asked for, and are the
    `MOST_LISTENERS` who were seen longest.

    Returns:
        Nobody where neither speakers nor all faces are known.
    """
    found = [_speaker(who, prediction) for who in prediction.speakers]
    silent = listeners(prediction)
    by_time = sorted(silent, key=lambda face: face.seconds, reverse=True)
    kept = {face.id for face in by_time[:MOST_LISTENERS]}
    found += [_listener(face, prediction) for face in silent if face.id in kept]
    unknown = _unknown(prediction) if prediction.speakers else ()
    if unknown:
        facts = _talking_time(sum(spoken.end - spoken.start for spoken in unknown), prediction)
        found.append(Person(None, None, facts, (_voice_lane(unknown, prediction),)))
    return found


def listeners(prediction: MediaPrediction) -> list[SeenFace]:
    """The faces that have emotions of their own and no voice, in the order of appearance."""
    judged = {face.id for spoken in prediction.utterances for face in spoken.faces}
    judged -= {who.face for who in prediction.speakers}
    return [face for face in prediction.faces if face.id in judged]


def are_crowded(persons: Sequence[Person]) -> bool:
    """Whether most bars are too narrow to hold a name, so that their height has to tell."""
    widths = [bar.width for somebody in persons for lane in somebody.lanes for bar in lane.bars]
    return sum(width < NAMED for width in widths) > len(widths) / 2


def media_span(prediction: MediaPrediction) -> float:
    """Seconds that the time axis covers; 0 for a still image."""
    return max([prediction.duration, *(u.end for u in prediction.utterances)], default=0.0)


def _speaker(who: Speaker, prediction: MediaPrediction) -> Person:
    spoken = [u for u in prediction.utterances if u.speaker == who.id]
    lanes = [_voice_lane(spoken, prediction)]
    if who.face is not None and any(u.faces for u in prediction.utterances):
        lanes.append(_face_lane(who.face, prediction))
    facts = _talking_time(who.seconds, prediction)
    return Person(who.name or who.id, who.face, facts, tuple(lanes))


def _listener(face: SeenFace, prediction: MediaPrediction) -> Person:
    facts = f"seen for {_seconds(face.seconds)}" if face.seconds > 0 else ""
    if prediction.speakers:
        facts = f"{facts}, not heard" if facts else "not heard"
    return Person(face.id, face.id, facts, (_face_lane(face.id, prediction),))


def _unknown(prediction: MediaPrediction) -> list[UtterancePrediction]:
    """The utterances of nobody known."""
    known = {who.id for who in prediction.speakers}
    return [spoken for spoken in prediction.utterances if spoken.speaker not in known]


def _talking_time(seconds: float, prediction: MediaPrediction) -> str:
    """Seconds and their share of all talking, that of nobody known included."""
    total = sum(who.seconds for who in prediction.speakers)
    total += sum(spoken.end - spoken.start for spoken in _unknown(prediction))
    if total <= 0:
        return ""
    return f"{percent(seconds / total)} of the talk, {_seconds(seconds)}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 59.95 else clock(seconds, 0)


def _voice_lane(spoken: Sequence[UtterancePrediction], prediction: MediaPrediction) -> Lane:
    span = media_span(prediction)
    bars = tuple(_bar(u, u.emotion, u.likeliest, u.confidence, True, span) for u in spoken)
    return Lane("speaks", bars, emotion_shares([(u.emotion, u.end - u.start) for u in spoken]))


def _face_lane(face: str, prediction: MediaPrediction) -> Lane:
    span = media_span(prediction)
    shown = [(u, seen) for u in prediction.utterances for seen in u.faces if seen.id == face]
    judged = [(u, seen, *alone(seen.probabilities)) for u, seen in shown]
    bars = tuple(_bar(u, name, name, chance, seen.speaks, span) for u, seen, name, chance in judged)
    return Lane("face", bars, emotion_shares([(name, seen.seconds) for _, seen, name, _ in judged]))


def _bar(
    utterance: UtterancePrediction,
    emotion: str,
    likeliest: str,
    probability: float,
    speaks: bool,
    span: float,
) -> Bar:
    left, width = 0.0, 100.0
    if span > 0:
        width = max(NARROWEST, (utterance.end - utterance.start) * 100 / span)
        left = min(utterance.start * 100 / span, 100 - width)
    doubt = "" if emotion == likeliest else f"{emotion}, "
    judged = f"{doubt}{likeliest} {percent(probability)}"
    times = f"{clock(utterance.start)} to {clock(utterance.end)}, " if span > 0 else ""
    return Bar(left, width, emotion, likeliest, f"{times}{judged}", speaks)
