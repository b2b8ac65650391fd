"""What a job found: the prediction, exports, the film, faces."""

from __future__ import annotations

import json
import mimetypes
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Response
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse

from avt_memocmt.errors import AvtError
from avt_memocmt.service.job_files import FACES, FRAMES, PREDICTION
from avt_memocmt.service.job_json import prediction_json
from avt_memocmt.service.schemas import FramesAnswer
from avt_memocmt.service.service import JobDep, ReadableJobDep, ServiceDep

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["results"])

_SHOWN = ("video/", "audio/", "image/")
_KINDS = {"video": "video/mp4", "audio": "audio/mpeg", "image": "image/jpeg"}
FaceId = Annotated[str, PathParameter(pattern=r"^F\d{1,6}$")]


@router.get("/prediction", response_model=dict[str, Any])
def prediction(job: ReadableJobDep, service: ServiceDep) -> Response:
    """The object of `avt-memocmt predict --json`."""
    path = service.files.result(job) / PREDICTION
    # As it lies on disk where nobody was renamed: to read and write an hour takes longer.
    content = json.dumps(prediction_json(job, path)) if job.names else path.read_bytes()
    return Response(content, media_type="application/json")


@router.get("/frames", response_class=FileResponse, responses={200: {"model": FramesAnswer}})
def frames(job: ReadableJobDep, service: ServiceDep) -> FileResponse:
    """Where faces were seen, at the times of the pictures that were read."""
    path = _file(service.files.result(job) / FRAMES)
    return FileResponse(path, media_type="application/json")


@router.get("/faces/{face}", response_class=FileResponse)
def face(job: ReadableJobDep, face: FaceId, service: ServiceDep) -> FileResponse:
    """A picture of one of the people, as JPEG."""
    path = _file(service.files.result(job) / FACES / f"{face}.jpg")
    return FileResponse(path, media_type="image/jpeg")


@router.get("/media", response_class=FileResponse)
def media(job: JobDep, service: ServiceDep) -> FileResponse:
    """The film or recording itself, with HTTP ranges."""
    try:
        path = service.files.media(job)
    except AvtError as error:
        raise HTTPException(404, str(error)) from error
    kind = mimetypes.guess_type(path.name)[0] or ""
    if not kind.startswith(_SHOWN):  # the name says nothing: it was sent without a suffix
        kind = _KINDS[job.kind or "video"]
    return FileResponse(_file(path), media_type=kind, headers={"Content-Disposition": "inline"})


def _file(path: Path) -> Path:
    if not path.is_file():
        raise HTTPException(404, "there is no such file.")
    return path
