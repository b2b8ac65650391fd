"""What callers send and get, for OpenAPI."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from avt_memocmt.service.options import JobOptions, Name, SpeakerId

MOST_TEXT = 10_000
"""Characters of the words of one utterance."""
MOST_UTTERANCES = 100_000

Index = Annotated[int, Path(ge=0, lt=MOST_UTTERANCES, description="Of an utterance, from 0.")]
StateName = Literal["queued", "in_progress", "completed", "failed", "cancelled"]

_JOB: JsonDict = {
    "id": "0123456789abcdef0123456789abcdef",
    "name": "talk.mp4",
    "state": "completed",
    "created": "2026-11-30T12:00:00.000Z",
    "started": "2026-11-30T12:00:00.100Z",
    "finished": "2026-11-30T12:00:05.400Z",
    "progress": 1.0,
    "seconds_left": None,
    "error": None,
    "duration": 61.2,
    "kind": "video",
    "revision": 0,
    "options": {"speakers": "auto", "faces": "speaking"},
    "emotions": {"neutral": 0.6, "joy": 0.4},
}


class JobAnswer(BaseModel):
    """A job. Moments are ISO 8601 in UTC, durations seconds.

    `emotions` are shares of the time of all utterances; `seconds_left` is an estimate by the rate
    so far, null until that is steady, and it never rises; `error` is one sentence, also where
    corrections could not be applied.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_JOB]})

    id: str
    name: str
    state: StateName
    created: str
    started: str | None
    finished: str | None
    progress: float | None
    seconds_left: float | None
    error: str | None
    duration: float | None
    kind: Literal["video", "audio", "image"] | None
    revision: int
    options: dict[str, Any]
    emotions: dict[str, float] | None


class JobPage(BaseModel):
    """Jobs, newest first, and what to give as `after` for the next page."""

    jobs: list[JobAnswer]
    next: str | None


class PathJob(BaseModel):
    """A job on a file of this machine, in a folder that `--allow-folder` names."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"path": "/films/talk.mp4", "options": {"speakers": 2}}]},
    )

    path: str = Field(min_length=1, max_length=4096)
    options: JobOptions = JobOptions()


class CorrectedUtterance(BaseModel):
    """What an utterance says, or who says it; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    index: int = Field(ge=0, lt=MOST_UTTERANCES)
    text: Annotated[str, Field(max_length=MOST_TEXT)] | None = None
    speaker: SpeakerId | None = None


class Corrections(BaseModel):
    """Names of people by the id of a speaker, and corrected utterances."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "names": {"S1": "Anna"},
                    "utterances": [{"index": 3, "text": "I am fine.", "speaker": "S2"}],
                }
            ]
        },
    )

    names: dict[SpeakerId, Name] = Field(default_factory=dict, max_length=100)
    utterances: list[CorrectedUtterance] = Field(default_factory=list, max_length=MOST_UTTERANCES)

    @model_validator(mode="after")
    def _is_something(self) -> Corrections:
        if not self.names and not self.utterances:
            raise ValueError("nothing is corrected; give names or utterances")
        indices = [utterance.index for utterance in self.utterances]
        if len(set(indices)) < len(indices):
            raise ValueError("an utterance is corrected twice; give each once")
        return self


class ExplanationRequest(BaseModel):
    """Which utterance is to be explained, from 0."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"utterance": 3}]})

    utterance: int = Field(ge=0, lt=MOST_UTTERANCES)


_EXPLANATION: JsonDict = {
    "state": "in_progress",
    "before": 0,
    "progress": 0.4,
    "error": None,
    "explanation": None,
}


class ExplanationAnswer(BaseModel):
    """How far an explanation is.

    `before` is how many others, of whatever job, are made before it while it is queued; `progress`
    the share of the film that was read again for it, null before that is known, and 1 while its
    figures are drawn; `explanation` is that of `avt-memocmt explain` with `sentences` and the names
    of `figures` beside it.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_EXPLANATION]})

    state: StateName
    before: int
    progress: float | None
    error: str | None
    explanation: dict[str, Any] | None


class ComparedValue(BaseModel):
    """A value of both sets; `difference` is b minus a, `interval` its 95 % bootstrap interval over
    utterances."""

    a: float
    b: float
    difference: float
    interval: tuple[float, float]


class ComparisonAnswer(BaseModel):
    """Two sets of jobs: utterances of each, shares of time of each emotion, mean confidence."""

    n: dict[Literal["a", "b"], int]
    emotions: dict[str, ComparedValue]
    confidence: ComparedValue


class FramesAnswer(BaseModel):
    """Width and height of the picture in pixels; rows of time, left, top, width, height, id of the
    face, and whether it speaks."""

    picture: tuple[int, int] | None
    faces: list[tuple[float, float, float, float, float, str | None, bool]]


class Problem(BaseModel):
    """What is wrong, in one sentence."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"detail": "there is no such job; it may be deleted."}]}
    )

    detail: str
