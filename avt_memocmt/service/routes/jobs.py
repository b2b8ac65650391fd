"""Jobs: put in, list, look at, cancel, delete."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from avt_memocmt.errors import AvtError
from avt_memocmt.service.errors import invalid
from avt_memocmt.service.job_json import job_json
from avt_memocmt.service.models import Job
from avt_memocmt.service.options import JobOptions
from avt_memocmt.service.probe import NoMediaError, NoTranscriptError, Probed
from avt_memocmt.service.schemas import JobAnswer, JobPage, PathJob, Problem, StateName
from avt_memocmt.service.service import JobDep, Service, ServiceDep
from avt_memocmt.service.store import new_job
from avt_memocmt.service.upload import (
    FormError,
    TooLargeError,
    Upload,
    display_name,
    receive_upload,
)

MOST_JSON = 1_000_000
"""Bytes of a job by path."""
_NO_LIMIT = 2**62  # the upload itself looks at its size while it comes

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "transcript": {"type": "string", "format": "binary"},
                        "options": {"type": "string", "description": "JobOptions as JSON"},
                    },
                },
                "examples": {"two speakers": {"value": {"options": '{"speakers": 2}'}}},
            },
            "application/json": {"schema": PathJob.model_json_schema()},
        },
    }
}
_REFUSALS: dict[int | str, dict[str, Any]] = {
    413: {"model": Problem, "description": "Too large"},
    415: {"model": Problem, "description": "Not media, by its content"},
    422: {"model": Problem, "description": "Options or transcript are wrong"},
    429: {"model": Problem, "description": "The queue is full; see Retry-After"},
}


@router.post(
    "",
    status_code=202,
    response_model=JobAnswer,
    responses=_REFUSALS,
    openapi_extra=_BODY,
    max_body_size=_NO_LIMIT,
)
async def create(request: Request, service: ServiceDep) -> dict[str, Any]:
    """Put a job in: a file as a form, or the path of one in an allowed folder as JSON."""
    service.receiving += 1
    try:
        waiting = await run_in_threadpool(service.store.waiting)
        if waiting + service.receiving > service.settings.max_queue:
            raise service.too_many()
        if request.headers.get("content-type", "").startswith("application/json"):
            job = await _job_by_path(request, service)
        else:
            job = await _job_by_upload(request, service)
    finally:
        service.receiving -= 1
    answer = job_json(job)
    service.events.publish("job", answer)
    service.supervisor.wake()
    return answer


async def _job_by_path(request: Request, service: Service) -> Job:
    body = b""
    async for data in request.stream():
        body += data
        if len(body) > MOST_JSON:
            raise HTTPException(413, "the JSON is larger than 1 MB; send the path and options.")
    try:
        asked = PathJob.model_validate_json(body)
    except ValidationError as error:
        raise invalid(error) from error

    def add() -> Job:
        media = service.files.allowed(asked.path)
        probed = _probe(service, media, asked.options, None)
        job = new_job(
            display_name(media.name), asked.options.arguments(), source=str(media), **_found(probed)
        )
        if not service.store.add(job, service.settings.max_queue):
            raise service.too_many()
        return job

    return await run_in_threadpool(add)


async def _job_by_upload(request: Request, service: Service) -> Job:
    folder = await run_in_threadpool(service.files.new_folder)
    try:
        try:
            upload = await receive_upload(request, folder, service.settings.max_upload)
        except TooLargeError as error:
            raise HTTPException(413, str(error)) from error
        except FormError as error:
            raise HTTPException(422, str(error)) from error
        except ClientDisconnect as error:
            raise HTTPException(400, "the upload broke off.") from error
        except OSError as error:
            raise HTTPException(507, f"the upload cannot be kept: {error.strerror}.") from error
        try:
            options = JobOptions.model_validate_json(upload.options or "{}")
        except ValidationError as error:
            raise invalid(error) from error
        return await run_in_threadpool(_add_upload, service, folder, upload, options)
    finally:
        await run_in_threadpool(shutil.rmtree, folder, ignore_errors=True)


def _add_upload(service: Service, folder: Path, upload: Upload, options: JobOptions) -> Job:
    assert upload.media is not None
    transcript = None if upload.transcript is None else folder / upload.transcript
    probed = _probe(service, folder / upload.media, options, transcript)
    job = new_job(
        upload.name,
        options.arguments(),
        media=upload.media,
        transcript=upload.transcript,
        **_found(probed),
    )
    service.files.keep_upload(folder, job)
    if not service.store.add(job, service.settings.max_queue):
        service.files.remove(job.id)
        raise service.too_many()
    return job


def _probe(service: Service, media: Path, options: JobOptions, transcript: Path | None) -> Probed:
    try:
        return service.prober.look(media, options.audio_track, transcript)
    except NoMediaError as error:
        raise HTTPException(415, str(error)) from error
    except NoTranscriptError as error:
        raise HTTPException(422, str(error)) from error


def _found(probed: Probed) -> dict[str, Any]:
    return {
        "kind": probed.kind,
        "duration": probed.duration,
        "has_audio": probed.has_audio,
    }


@router.get("", response_model=JobPage)
def list_jobs(
    service: ServiceDep,
    state: StateName | None = None,
    search: str = Query("", max_length=200, description="Text in the name."),
    limit: int = Query(50, ge=1, le=200),
    after: str | None = Query(None, pattern=r"^\d{1,18}$", description="`next` of a page."),
) -> dict[str, Any]:
    """The jobs, newest first."""
    before = None if after is None else int(after)
    jobs, following = service.store.jobs(state, search, limit, before)
    return {
        "jobs": [job_json(job, service.supervisor.running(job.id)) for job in jobs],
        "next": None if following is None else str(following),
    }


@router.get("/{job_id}", response_model=JobAnswer)
def read(job: JobDep, service: ServiceDep) -> dict[str, Any]:
    """One job."""
    return job_json(job, service.supervisor.running(job.id))


@router.delete("/{job_id}", status_code=204)
def delete(job: JobDep, service: ServiceDep) -> Response:
    """Remove a job and all that belongs to it; one that runs is stopped first."""
    service.store.cancel(job.id)
    service.supervisor.stop_job(job.id)
    service.store.delete(job.id)
    service.files.remove(job.id)
    service.events.publish("deleted", {"id": job.id})
    return Response(status_code=204)


@router.post("/{job_id}/cancel", response_model=JobAnswer)
def cancel(job: JobDep, service: ServiceDep) -> dict[str, Any]:
    """Stop what is done on a job; the result that it has stays."""
    found = service.store.cancel(job.id)
    service.supervisor.stop_job(job.id)
    if found is None:
        raise AvtError("the job was deleted meanwhile.")
    answer = job_json(found)
    service.events.publish("job", answer)
    return answer
