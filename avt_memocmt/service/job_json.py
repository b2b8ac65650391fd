"""The JSON forms of jobs and their results."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avt_memocmt.service.models import Job, State

if TYPE_CHECKING:
    from avt_memocmt.service.running import Running


def job_json(job: Job, running: Running | None = None) -> dict[str, Any]:
    """A job as callers see it.

    Args:
        job: of the database.
        running: what is done on it now.
    """
    is_running = job.state == State.IN_PROGRESS and running is not None
    progress = running.progress if is_running and running else None
    left = running.seconds_left if is_running and running else None
    return {
        "id": job.id,
        "name": job.name,
        "state": str(job.state),
        "created": _moment(job.created),
        "started": _moment(job.started),
        "finished": _moment(job.finished) if job.state not in ("queued", "in_progress") else None,
        "progress": 1.0 if job.state == State.COMPLETED else _rounded(progress, 3),
        "seconds_left": _rounded(left, 1),
        "error": job.error,
        "duration": _rounded(job.duration, 3),
        "kind": job.kind,
        "revision": job.revision,
        "options": job.options,
        "emotions": job.emotions and {name: round(x, 4) for name, x in job.emotions.items()},
    }


def prediction_json(job: Job, path: Path) -> dict[str, Any]:
    """The prediction of a job, with the names that its user gave since.

    Args:
        job: of the database.
        path: of the prediction.
    """
    prediction = read_json(path)
    for speaker in prediction["speakers"]:
        speaker["name"] = job.names.get(speaker["id"], speaker["name"])
    return prediction


def read_json(path: Path) -> dict[str, Any]:
    """An object that the service wrote."""
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def _moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return (
        datetime.fromtimestamp(seconds, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
