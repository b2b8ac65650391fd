"""Names, words and speakers as the user corrects them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException

from avt_memocmt.service.job_files import PREDICTION, RECOGNISED
from avt_memocmt.service.job_json import job_json, prediction_json, read_json
from avt_memocmt.service.models import Job
from avt_memocmt.service.options import SpeakerId
from avt_memocmt.service.schemas import CorrectedUtterance, Corrections, Index, JobAnswer
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
        found = service.store.rename_speakers(job.id, {**given.names})
    if given.utterances:
        named = {who["id"]: who["name"] for who in shown["speakers"]} | given.names
        first = _recognised(job, service)
        utterances = _with_pending(shown["utterances"], service.store.pending_cues(job.id))
        cues = _corrected(utterances, given.utterances, named, _by_start(first))
        if found is not None and first is not None and _are_recognised(cues, first):
            found = _restore(found, first, found.names, service)
        else:
            found = _decide_anew(job, cues, service)
    return _told(found, service)


@router.get("/recognised", response_model=dict[str, Any])
def recognised(job: ReadableJobDep, service: ServiceDep) -> dict[str, Any]:
    """The prediction as it was before any correction."""
    return _kept(job, service)


@router.delete("/corrections", response_model=JobAnswer)
def restore(job: ReadableJobDep, service: ServiceDep) -> dict[str, Any]:
    """Take back every correction: words, speakers, names and decisions are as recognised."""
    return _told(_restore(job, _kept(job, service), {}, service), service)


@router.delete("/corrections/names/{speaker:path}", response_model=JobAnswer)
def restore_name(job: ReadableJobDep, speaker: SpeakerId, service: ServiceDep) -> dict[str, Any]:
    """Give a speaker the name back that was recognised, which may be none."""
    names = {who["id"]: who["name"] for who in _kept(job, service)["speakers"]}
    if speaker not in names:
        raise HTTPException(422, f"{speaker} was not recognised; name one of {sorted(names)}.")
    return _told(service.store.rename_speakers(job.id, {speaker: names[speaker]}), service)


@router.delete("/corrections/utterances/{index}", status_code=202, response_model=JobAnswer)
def restore_utterance(job: ReadableJobDep, index: Index, service: ServiceDep) -> dict[str, Any]:
    """Give an utterance its words and speaker back, and decide anew if others stay corrected."""
    first = _kept(job, service)["utterances"]
    if index >= len(first):
        raise HTTPException(422, f"there is no such utterance; give 0 to {len(first) - 1}.")
    words, speaker = first[index]["text"], first[index]["speaker"]
    again = CorrectedUtterance(index=index, text=words, speaker=speaker)
    return correct(job, Corrections(utterances=[again]), service)


def _told(job: Job | None, service: Service) -> dict[str, Any]:
    if job is None:
        raise HTTPException(404, "the job was deleted meanwhile.")
    answer = job_json(job, service.supervisor.running(job.id))
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


def _with_pending(
    utterances: list[dict[str, Any]], cues: list[dict[str, Any]] | None
) -> list[dict[str, Any]]:
    """The utterances with corrections that are not decided on yet, which must not be lost."""
    if cues is None:
        return utterances
    names = {"text": "text", "speaker": "speaker", "text_source": "source"}
    return [
        spoken | {name: cue[given] for name, given in names.items()}
        for spoken, cue in zip(utterances, cues, strict=True)
    ]


def _corrected(
    utterances: list[dict[str, Any]],
    given: list[CorrectedUtterance],
    names: dict[str, str | None],
    first: dict[float, dict[str, Any]],
) -> list[dict[str, Any]]:
    """All utterances with the corrections, as a worker takes them; see `worker`.

    Args:
        utterances: as they are shown.
        given: the corrections.
        names: of the speakers.
        first: the utterances that were recognised, by their starts.
    """
    by_index = {item.index: item for item in given}
    cues = []
    for index, utterance in enumerate(utterances):
        cue = {name: utterance[name] for name in ("start", "end", "text", "speaker")}
        cue["source"] = utterance["text_source"]
        item = by_index.get(index)
        if item is not None and item.text is not None and item.text.strip() != cue["text"]:
            cue["text"] = item.text.strip()
            cue["source"] = "given" if cue["text"] else "none"
            heard = first.get(_place(utterance))
            if heard is not None and heard["text"] == cue["text"]:
                cue["source"] = heard["text_source"]
        if item is not None and "speaker" in item.model_fields_set:
            cue["speaker"] = item.speaker
        cue["name"] = names.get(cue["speaker"])
        cues.append(cue)
    return cues


def _recognised(job: Job, service: Service) -> dict[str, Any] | None:
    """The result before any correction; None of jobs of versions that did not keep it."""
    path = service.files.result(job, RECOGNISED) / PREDICTION
    return read_json(path) if path.is_file() else None


def _kept(job: Job, service: Service) -> dict[str, Any]:
    if (first := _recognised(job, service)) is None:
        raise HTTPException(
            404, "what was recognised was not kept for this job; put the file in again."
        )
    return first


def _by_start(first: dict[str, Any] | None) -> dict[float, dict[str, Any]]:
    return {} if first is None else {_place(heard): heard for heard in first["utterances"]}


def _place(utterance: dict[str, Any]) -> float:
    return round(utterance["start"], 3)


def _are_recognised(cues: list[dict[str, Any]], first: dict[str, Any]) -> bool:
    return [*map(_said, cues)] == [*map(_said, first["utterances"])]


def _said(utterance: dict[str, Any]) -> tuple[float, str, str | None]:
    return _place(utterance), utterance["text"], utterance["speaker"]


def _restore(
    job: Job, first: dict[str, Any], names: dict[str, str | None], service: Service
) -> Job | None:
    """Make what was recognised the result again, but for these names; nothing is decided anew."""
    from avt_memocmt.report.judgements import emotion_shares  # NumPy is not needed to start

    spoken = [(heard["emotion"], heard["end"] - heard["start"]) for heard in first["utterances"]]
    service.store.cancel(job.id)
    service.supervisor.stop_job(job.id)
    found = service.store.restore(job.id, names, dict(emotion_shares(spoken)))
    if found is not None:
        service.files.remove_older_results(found)
    return found


def _decide_anew(job: Job, cues: list[dict[str, Any]], service: Service) -> Job:
    found = service.store.correct(job.id, cues, service.settings.max_queue)
    if found is None:
        raise service.too_many()
    return found
