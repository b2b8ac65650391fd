"""Why an utterance was decided as it was."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path
from fastapi.responses import FileResponse

from avt_memocmt.explainability.installed import require_captum
from avt_memocmt.service.job_files import EXPLANATION, PREDICTION
from avt_memocmt.service.job_json import read_json
from avt_memocmt.service.models import Job, Kind, State, Task
from avt_memocmt.service.schemas import ExplanationAnswer, ExplanationRequest, Index
from avt_memocmt.service.service import ReadableJobDep, Service, ServiceDep

router = APIRouter(prefix="/v1/jobs/{job_id}/explanations", tags=["explanations"])

Figure = Annotated[str, Path(pattern=r"^[a-z]+(_\d{1,4})?\.(png|jpg)$")]


@router.post("", status_code=202, response_model=ExplanationAnswer)
def ask(job: ReadableJobDep, asked: ExplanationRequest, service: ServiceDep) -> dict[str, Any]:
    """Ask for the explanation of an utterance; a process of its own makes it, one at a time."""
    require_captum()
    count = len(read_json(service.files.result(job) / PREDICTION)["utterances"])
    if asked.utterance >= count:
        raise HTTPException(422, f"there is no such utterance; give 0 to {count - 1}.")
    task = service.store.ask(job, Kind.EXPLAIN, utterance=asked.utterance)
    service.supervisor.wake()
    service.events.publish_explanation(task)
    return _answer(job, task, service)


@router.get("/{utterance}", response_model=ExplanationAnswer)
def read(job: ReadableJobDep, utterance: Index, service: ServiceDep) -> dict[str, Any]:
    """The explanation of an utterance, once it was asked for."""
    return _answer(job, _asked(job, utterance, service), service)


@router.post("/{utterance}/cancel", response_model=ExplanationAnswer)
def cancel(job: ReadableJobDep, utterance: Index, service: ServiceDep) -> dict[str, Any]:
    """Stop an explanation that waits or is being made; one that is made stays."""
    task = service.store.cancel_task(_asked(job, utterance, service))
    service.supervisor.stop_task(task)
    service.events.publish_explanation(task)
    return _answer(job, task, service)


@router.get("/{utterance}/{figure}", response_class=FileResponse)
def figure(
    job: ReadableJobDep, utterance: Index, figure: Figure, service: ServiceDep
) -> FileResponse:
    """One of the figures that the explanation names."""
    path = service.files.explanation(job, utterance) / figure
    if not path.is_file():
        raise HTTPException(404, "there is no such figure.")
    return FileResponse(path)


def _asked(job: Job, utterance: int, service: Service) -> Task:
    task = service.store.asked(job, Kind.EXPLAIN, utterance=utterance)
    if task is None:
        raise HTTPException(404, "nobody asked for this explanation; ask with POST.")
    return task


def _answer(job: Job, task: Task, service: Service) -> dict[str, Any]:
    is_done = task.state == State.COMPLETED
    running = service.supervisor.running_task(task)
    assert task.utterance is not None
    folder = service.files.explanation(job, task.utterance)
    return {
        "state": str(task.state),
        "before": service.store.explanations_before(task) if task.state == State.QUEUED else 0,
        "progress": 1.0 if is_done else running and running.progress,
        "error": task.error,
        "explanation": read_json(folder / EXPLANATION) if is_done else None,
    }
