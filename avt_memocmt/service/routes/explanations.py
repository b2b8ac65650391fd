"""Why an utterance was decided as it was."""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path
from fastapi.responses import FileResponse

from avt_memocmt.explainability.installed import require_captum
from avt_memocmt.service.job_files import EXPLANATION, PREDICTION
from avt_memocmt.service.job_json import read_json
from avt_memocmt.service.models import Kind, State, Task
from avt_memocmt.service.schemas import MOST_UTTERANCES, ExplanationAnswer, ExplanationRequest
from avt_memocmt.service.service import ReadableJobDep, ServiceDep

router = APIRouter(prefix="/v1/jobs/{job_id}/explanations", tags=["explanations"])

Index = Annotated[int, Path(ge=0, lt=MOST_UTTERANCES)]
Figure = Annotated[str, Path(pattern=r"^[a-z]+(_\d{1,4})?\.(png|jpg)$")]


@router.post("", status_code=202, response_model=ExplanationAnswer)
def ask(job: ReadableJobDep, asked: ExplanationRequest, service: ServiceDep) -> dict[str, Any]:
    """Ask for the explanation of an utterance; a worker makes it before the jobs that wait."""
    require_captum()
    count = len(read_json(service.files.result(job) / PREDICTION)["utterances"])
    if asked.utterance >= count:
        raise HTTPException(422, f"there is no such utterance; give 0 to {count - 1}.")
    task = service.store.ask(job, Kind.EXPLAIN, utterance=asked.utterance)
    service.supervisor.wake()
    service.events.publish_explanation(job.id, task)
    return _answer(task, service.files.explanation(job, asked.utterance))


@router.get("/{utterance}", response_model=ExplanationAnswer)
def read(job: ReadableJobDep, utterance: Index, service: ServiceDep) -> dict[str, Any]:
    """The explanation of an utterance, once it was asked for."""
    task = service.store.asked(job, Kind.EXPLAIN, utterance=utterance)
    if task is None:
        raise HTTPException(404, "nobody asked for this explanation; ask with POST.")
    return _answer(task, service.files.explanation(job, utterance))


@router.get("/{utterance}/{figure}", response_class=FileResponse)
def figure(
    job: ReadableJobDep, utterance: Index, figure: Figure, service: ServiceDep
) -> FileResponse:
    """One of the figures that the explanation names."""
    path = service.files.explanation(job, utterance) / figure
    if not path.is_file():
        raise HTTPException(404, "there is no such figure.")
    return FileResponse(path)


def _answer(task: Task, folder: FilePath) -> dict[str, Any]:
    is_done = task.state == State.COMPLETED
    return {
        "state": str(task.state),
        "error": task.error,
        "explanation": read_json(folder / EXPLANATION) if is_done else None,
    }
