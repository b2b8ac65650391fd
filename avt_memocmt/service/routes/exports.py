"""Results as files that other programs open."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from fastapi import APIRouter, HTTPException, Response
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from avt_memocmt.service.exports import downloads
from avt_memocmt.service.job_files import PREDICTION
from avt_memocmt.service.job_json import prediction_json
from avt_memocmt.service.models import Job, Kind, State
from avt_memocmt.service.service import ReadableJobDep, Service, ServiceDep

LONGEST_WAIT = 60.0
"""Seconds that a call waits for a worker; it may be called again then."""
_LOOK = 0.1  # seconds between two looks whether it is done

router = APIRouter(prefix="/v1/jobs/{job_id}/exports", tags=["results"])


@router.get("/{name}", response_class=FileResponse)
def export(job: ReadableJobDep, name: str, service: ServiceDep) -> Response:
    """The result in a format, as a download with the name of the job.

    Formats for which the media is read again take their time, and are kept.
    """
    from avt_memocmt.exports.formats import safe_stem

    if name not in (known := downloads()):
        raise HTTPException(404, f"there is no such format; give one of {', '.join(known)}.")
    download = known[name]
    path, clean_up = _kept(job, name, service), None
    if path is None:
        folder = service.files.new_folder()
        path = folder / f"export{download.suffix}"
        clean_up = BackgroundTask(shutil.rmtree, folder, ignore_errors=True)
        try:
            _write(job, name, service, path)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return FileResponse(
        path,
        media_type=download.media_type,
        filename=safe_stem(job.name) + download.suffix,
        content_disposition_type="attachment",
        background=clean_up,
    )


def _write(job: Job, name: str, service: Service, path: Path) -> None:
    result = service.files.result(job)
    prediction = prediction_json(job, result / PREDICTION)
    service.exporter.write(name, prediction, result, path)


def _kept(job: Job, name: str, service: Service) -> Path | None:
    """The file that a worker made, which is waited for; None where no worker is needed."""
    download = downloads()[name]
    if not download.by_worker:
        return None
    task = service.store.ask(job, Kind.EXPORT, name=name)
    service.supervisor.wake()
    until = time.monotonic() + LONGEST_WAIT
    while task.state in (State.QUEUED, State.IN_PROGRESS):
        if time.monotonic() > until:
            raise HTTPException(
                503,
                "the film is being read again for this file; ask for it again in a minute.",
                {"Retry-After": str(round(LONGEST_WAIT))},
            )
        time.sleep(_LOOK)
        found = service.store.asked(job, Kind.EXPORT, name=name)
        if found is None:
            raise HTTPException(404, "the job was deleted meanwhile.")
        task = found
    if task.state != State.COMPLETED:
        raise HTTPException(422, task.error or "the export was cancelled.")
    return service.files.export(job, task.revision, name) / f"export{download.suffix}"
