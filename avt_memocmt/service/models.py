"""The tables of the database."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class State(StrEnum):
    """Of a job and of each task on it."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Kind(StrEnum):
    """What a worker does on a job."""

    PREDICT = "predict"
    EXPLAIN = "explain"
    EXPORT = "export"


class Base(DeclarativeBase):
    """Of all tables."""


class Job(Base):
    """One media file and what was found in it.

    Moments are seconds since 1970 (UTC), durations seconds.

    Attributes:
        number: in the order of creation.
        id: that callers know; cannot be guessed.
        name: that its user gave the file; display text alone.
        media: name of the uploaded file in the job's folder; None where `source` is set.
        source: path of the file, where it was not uploaded.
        transcript: name of the transcript in the job's folder.
        revision: how often it was corrected.
        result: revision of the result that can be read; None before there is one.
        names: of people, by the id of a speaker, as corrected; None is no name.
        emotions: share of the time of each.
    """

    __tablename__ = "jobs"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(32), unique=True)
    name: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16), index=True)
    created: Mapped[float]
    started: Mapped[float | None] = mapped_column(default=None)
    finished: Mapped[float | None] = mapped_column(default=None)
    error: Mapped[str | None] = mapped_column(Text, default=None)
    duration: Mapped[float | None] = mapped_column(default=None)
    kind: Mapped[str | None] = mapped_column(String(8), default=None)
    has_audio: Mapped[bool | None] = mapped_column(default=None)
    media: Mapped[str | None] = mapped_column(String(32), default=None)
    source: Mapped[str | None] = mapped_column(Text, default=None)
    transcript: Mapped[str | None] = mapped_column(String(32), default=None)
    options: Mapped[dict[str, Any]] = mapped_column(JSON)
    revision: Mapped[int] = mapped_column(default=0)
    result: Mapped[int | None] = mapped_column(default=None)
    names: Mapped[dict[str, str | None]] = mapped_column(JSON, default=dict)
    emotions: Mapped[dict[str, float] | None] = mapped_column(JSON, default=None)


class Task(Base):
    """One piece of work on a job for a worker.

    Attributes:
        revision: of the result that it makes or explains; of the job whose export it makes.
        utterance: that is to be explained, from 0.
        name: of the format of an export.
        cues: corrected utterances, as the worker takes them; None for the first prediction.
        deaths: workers that it has cost.
    """

    __tablename__ = "tasks"
    __table_args__ = (Index("ix_tasks_state_id", "state", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(8))
    state: Mapped[str] = mapped_column(String(16), default=State.QUEUED)
    revision: Mapped[int]
    utterance: Mapped[int | None] = mapped_column(default=None)
    name: Mapped[str | None] = mapped_column(String(32), default=None)
    cues: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON, default=None)
    deaths: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None] = mapped_column(Text, default=None)
