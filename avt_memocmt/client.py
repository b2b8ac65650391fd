"""A typed client of the service that `avt-memocmt serve` starts.

Example:
    >>> with Client("http://127.0.0.1:8765") as client:
    ...     job = client.submit("talk.mp4", speakers=2)
    ...     job = client.wait(job.id, lambda job: print(job.progress))
    ...     for utterance in client.prediction(job.id).utterances:
    ...         print(utterance.start, utterance.speaker, utterance.emotion)
    ...     client.export(job.id, "report", "talk.html")
    ...     client.delete(job.id)
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self, Unpack

import httpx

from avt_memocmt.errors import AvtError
from avt_memocmt.inference.arguments import PredictOptions
from avt_memocmt.inference.results import MediaPrediction
from avt_memocmt.inference.results_json import prediction_from_json

FINISHED = ("completed", "failed", "cancelled")
"""States in which nothing more is done on a job."""


class ServiceError(AvtError):
    """The service refused a call; the message is its reason.

    Attributes:
        status: of the HTTP answer, such as 429 where the queue is full.
        retry_after: seconds after which a call that was refused for the queue may succeed.
    """

    def __init__(self, status: int, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.retry_after = retry_after


@dataclass(frozen=True)
class Job:
    """A job of the service; see docs/service.md.

    Attributes:
        id: by which it is known.
        name: of the file.
        state: queued, in_progress, completed, failed or cancelled.
        created: moment, ISO 8601 in UTC; so are `started` and `finished`.
        progress: share that is done, 0 to 1; None before it is known.
        seconds_left: an estimate, which never rises; None before it can be told.
        error: why it failed, or why corrections could not be applied.
        duration: seconds of the media.
        kind: video, audio or image.
        revision: how often it was corrected.
        options: of the prediction.
        emotions: share of the time of each.
    """

    id: str
    name: str
    state: str
    created: str
    started: str | None
    finished: str | None
    progress: float | None
    seconds_left: float | None
    error: str | None
    duration: float | None
    kind: str | None
    revision: int
    options: dict[str, Any]
    emotions: dict[str, float] | None


class Client:
    """Calls the service; each call raises `ServiceError` where it is refused.

    Args:
        url: address of the service.
        token: that it asks for where it is not on this machine.
        timeout: seconds without an answer after which a call fails.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8765", token: str | None = None, timeout: float = 60.0
    ) -> None:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        # A proxy of the environment has no business between a program and its own machine.
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the connection."""
        self._http.close()

    def submit(
        self,
        media: str | Path,
        transcript: str | Path | None = None,
        **options: Unpack[PredictOptions],
    ) -> Job:
        """Upload a file.

        Args:
            media: the file.
            transcript: a .srt, .vtt or .txt file with its words.
            options: as of `Recognizer.predict`.
        """
        with ExitStack() as opened:
            files = {"file": (Path(media).name, opened.enter_context(Path(media).open("rb")))}
            if transcript is not None:
                words = opened.enter_context(Path(transcript).open("rb"))
                files["transcript"] = Path(transcript).name, words
            data = {"options": json.dumps(options)}
            return self._job("POST", "/v1/jobs", files=files, data=data)

    def submit_path(self, path: str | Path, **options: Unpack[PredictOptions]) -> Job:
        """Name a file that lies on the service's machine, in a folder that it may read."""
        return self._job("POST", "/v1/jobs", json={"path": str(path), "options": options})

    def job(self, job_id: str) -> Job:
        """A job as it is now."""
        return self._job("GET", f"/v1/jobs/{job_id}")

    def jobs(self, state: str | None = None, search: str = "") -> Iterator[Job]:
        """All jobs, newest first.

        Args:
            state: leave out others.
            search: text in the name.
        """
        query = {"search": search} | ({} if state is None else {"state": state})
        while True:
            page = self._json("GET", "/v1/jobs", params=query)
            yield from map(_job, page["jobs"])
            if page["next"] is None:
                return
            query["after"] = page["next"]

    def wait(
        self,
        job_id: str,
        progress: Callable[[Job], None] = lambda job: None,
        every: float = 0.25,
    ) -> Job:
        """Wait until nothing more is done on a job.

        Args:
            job_id: of the job.
            progress: called with the job as it is, again and again.
            every: seconds between two calls.

        Raises:
            AvtError: it failed or was cancelled.
        """
        while True:
            job = self.job(job_id)
            progress(job)
            if job.state in FINISHED:
                break
            time.sleep(every)
        if job.state != "completed":
            raise AvtError(f"{job.name}: {job.error or 'the job was cancelled.'}")
        return job

    def prediction(self, job_id: str) -> MediaPrediction:
        """What a job found."""
        return prediction_from_json(self._json("GET", f"/v1/jobs/{job_id}/prediction"))

    def export(self, job_id: str, name: str, path: str | Path) -> Path:
        """Write the result in a format, such as "report", to a file."""
        path = Path(path)
        with self._http.stream("GET", f"/v1/jobs/{job_id}/exports/{name}") as answer:
            if answer.is_error:
                answer.read()
            _require(answer)
            with path.open("wb") as file:
                for data in answer.iter_bytes():
                    file.write(data)
        return path

    def correct(
        self,
        job_id: str,
        names: Mapping[str, str] | None = None,
        utterances: list[dict[str, Any]] | None = None,
    ) -> Job:
        """Correct names, words and speakers; see docs/service.md."""
        given = {"names": dict(names or {}), "utterances": utterances or []}
        return self._job("POST", f"/v1/jobs/{job_id}/corrections", json=given)

    def restore(self, job_id: str) -> Job:
        """Take back every correction: all is as it was recognised."""
        return self._job("DELETE", f"/v1/jobs/{job_id}/corrections")

    def cancel(self, job_id: str) -> Job:
        """Stop what is done on a job."""
        return self._job("POST", f"/v1/jobs/{job_id}/cancel")

    def delete(self, job_id: str) -> None:
        """Remove a job and all that belongs to it."""
        self._call("DELETE", f"/v1/jobs/{job_id}")

    def _job(self, method: str, path: str, **arguments: Any) -> Job:
        return _job(self._json(method, path, **arguments))

    def _json(self, method: str, path: str, **arguments: Any) -> Any:
        return self._call(method, path, **arguments).json()

    def _call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **arguments)
        except httpx.TransportError as error:
            raise AvtError(
                f"the service at {self._http.base_url} does not answer ({error}); start it with: "
                "avt-memocmt serve"
            ) from error
        _require(answer)
        return answer


def _require(answer: httpx.Response) -> None:
    if not answer.is_error:
        return
    try:
        reason = str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        reason = f"the service answered {answer.status_code} {answer.reason_phrase}."
    after = answer.headers.get("retry-after")
    raise ServiceError(answer.status_code, reason, None if after is None else float(after))


def _job(value: dict[str, Any]) -> Job:
    return Job(**{field.name: value[field.name] for field in fields(Job)})
