"""Names, words and speakers as the user corrects them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException

from avt_memocmt.service.job_files import PREDICTION
from avt_memocmt.service.job_json import job_json, prediction_json
from avt_memocmt.service.models import Job
from avt_memocmt.service.schemas import CorrectedUtterance, Corrections, JobAnswer
from avt_memocmt.service.service import ReadableJobDep, Service, ServiceDep

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["corrections"])


@router.post("/corrections", status_code=202, response_model=JobAnswer)
def correct(job: ReadableJobDep, given: Corrections, service: ServiceDep) -> dict[str, Any]:
    """Correct names at once; words and speakers by deciding anew, after which they are read.

    Of an utterance, what is left out stays; a speaker of null is nobody known.
    """
    shown = prediction_json(job, service.files.result(job) / PREDICTION)
    _check(shown, given)
    found: Job | None = job
    if given.names:
        found = service.store.rename_speakers(job.id, given.names)
    if given.utterances:
        named = {who["id"]: who["name"] for who in shown["speakers"]} | given.names
        cues = _corrected(shown["utterances"], given.utterances, named)
        found = _decide_anew(job, cues, service)
    if found is None:
        raise HTTPException(404, "the job was deleted meanwhile.")
    answer = job_json(found, service.supervisor.running(job.id))
    service.events.publish("job", answer)
    service.supervisor.wake()
    return answer


def _check(shown: dict[str, Any], given: Corrections) -> None:
    known = {who["id"] for who in shown["speakers"]}
    if unknown := sorted(given.names.keys() - known):
        raise HTTPException(422, f"nobody here is {unknown[0]}; name one of {sorted(known)}.")
    count = len(shown["utterances"])
    if beyond := [item.index for item in given.utterances if item.index >= count]:
        raise HTTPException(422, f"there is no utterance {beyond[0]}; give 0 to {count - 1}.")


def _corrected(
    utterances: list[dict[str, Any]],
    given: list[CorrectedUtterance],
    names: dict[str, str | None],
) -> list[dict[str, Any]]:
    """All utterances with the corrections, as a worker takes them; see `worker`."""
    by_index = {item.index: item for item in given}
    cues = []
    for index, utterance in enumerate(utterances):
        cue = {name: utterance[name] for name in ("start", "end", "text", "speaker")}
        cue["source"] = utterance["text_source"]
        item = by_index.get(index)
        if item is not None and item.text is not None and item.text.strip() != cue["text"]:
            cue["text"] = item.text.strip()
            cue["source"] = "given" if cue["text"] else "none"
        if item is not None and "speaker" in item.model_fields_set:
            cue["speaker"] = item.speaker
        cue["name"] = names.get(cue["speaker"])
        cues.append(cue)
    return cues


def _decide_anew(job: Job, cues: list[dict[str, Any]], service: Service) -> Job:
    found = service.store.correct(job.id, cues, service.settings.max_queue)
    if found is None:
        raise service.too_many()
    return found
