"""Two sets of results side by side."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query

from avt_memocmt.service.job_files import PREDICTION
from avt_memocmt.service.job_json import read_json
from avt_memocmt.service.schemas import ComparisonAnswer
from avt_memocmt.service.service import Service, ServiceDep

MOST_JOBS = 200
"""In one set."""

router = APIRouter(prefix="/v1", tags=["comparison"])

Ids = Annotated[
    str, Query(pattern=r"^[0-9a-f]{32}(,[0-9a-f]{32})*$", description="Ids of jobs, by commas.")
]


@router.get("/compare", response_model=ComparisonAnswer)
def compare_jobs(a: Ids, b: Ids, service: ServiceDep) -> dict[str, Any]:
    """Shares of the time of each emotion, and the mean confidence, of two sets of jobs."""
    from avt_memocmt.service.comparison import compare  # NumPy is not needed to start

    return compare(_utterances(a.split(","), service), _utterances(b.split(","), service))


def _utterances(ids: list[str], service: Service) -> list[dict[str, Any]]:
    if len(ids) > MOST_JOBS:
        raise HTTPException(422, f"a set has at most {MOST_JOBS} jobs; give fewer.")
    found: list[dict[str, Any]] = []
    for job_id in dict.fromkeys(ids):
        job = service.store.job(job_id)
        if job is None or job.result is None:
            raise HTTPException(404, f"the job {job_id} has no result; leave it out.")
        found += read_json(service.files.result(job) / PREDICTION)["utterances"]
    return found
