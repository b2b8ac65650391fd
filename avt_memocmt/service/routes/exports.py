"""Results as files that other programs open."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from fastapi import APIRouter, HTTPException, Response
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from avt_memocmt.service.job_files import PREDICTION
from avt_memocmt.service.job_json import prediction_json
from avt_memocmt.service.service import ReadableJobDep, ServiceDep

FORMATS = {
    "json": (".json", "application/json"),
    "report": (".html", "text/html"),
}
"""Suffix and media type of each format."""

router = APIRouter(prefix="/v1/jobs/{job_id}/exports", tags=["results"])


@router.get("/{name}", response_class=FileResponse)
def export(job: ReadableJobDep, name: str, service: ServiceDep) -> Response:
    """The result in a format, as a download with the name of the job."""
    if name not in FORMATS:
        raise HTTPException(404, f"there is no such format; give one of {', '.join(FORMATS)}.")
    suffix, kind = FORMATS[name]
    result = service.files.result(job)
    prediction = prediction_json(job, result / PREDICTION)
    folder = service.files.new_folder()
    try:
        path = folder / f"export{suffix}"
        if name == "json":
            path.write_text(json.dumps([prediction], ensure_ascii=False, indent=2), "utf-8")
        else:
            service.exporter.write(name, prediction, result, path)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return FileResponse(
        path,
        media_type=kind,
        filename=(Path(job.name).stem or "result") + suffix,
        content_disposition_type="attachment",
        background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True),
    )
