"""The options of a job: those of `predict`, checked when it is put in."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from avt_memocmt.data.baseline_scope import NamedScope
from avt_memocmt.errors import AvtError
from avt_memocmt.inference.speaker_settings import MOST_SPEAKERS, speaker_settings
from avt_memocmt.inference.which_faces import WhichFaces

MOST_NAME = 200
"""Characters of the name of a person."""
Name = Annotated[str, Field(min_length=1, max_length=MOST_NAME)]
SpeakerId = Annotated[str, Field(min_length=1, max_length=MOST_NAME)]
Number = Annotated[int, Field(ge=1, le=MOST_SPEAKERS)]


class JobOptions(BaseModel):
    """Options of a job; each means what it means for `predict`."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"speakers": 2, "faces": "speaking", "transcribe": True}]},
    )

    speakers: Literal["auto", "off"] | Number = "auto"
    min_speakers: Number | None = None
    max_speakers: Number | None = None
    faces: WhichFaces = "speaking"
    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.0
    speaker_baseline: NamedScope = "past"
    transcribe: bool = True
    audio_track: Annotated[int, Field(ge=1, le=1000)] | None = None
    speaker_names: Annotated[dict[SpeakerId, Name], Field(max_length=MOST_SPEAKERS)] = {}

    @model_validator(mode="after")
    def _check_speakers(self) -> JobOptions:
        try:
            speaker_settings(self.speakers, self.min_speakers, self.max_speakers)
        except AvtError as error:
            raise ValueError(str(error)) from error
        return self

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of `Recognizer.predict`."""
        return self.model_dump()
