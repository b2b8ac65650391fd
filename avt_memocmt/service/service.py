"""The parts of a running service, and how routes get them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, HTTPException
from starlette.requests import HTTPConnection

from avt_memocmt.service.events import Events
from avt_memocmt.service.exporter import Exporter
from avt_memocmt.service.job_files import JobFiles
from avt_memocmt.service.live_session import LiveSessions
from avt_memocmt.service.metrics import ServiceMetrics
from avt_memocmt.service.models import Job
from avt_memocmt.service.probe import Prober
from avt_memocmt.service.settings import ServiceSettings
from avt_memocmt.service.store import JobStore
from avt_memocmt.service.supervisor import Supervisor

_USUAL_DURATION = 10.0  # seconds of a job, before one was done


@dataclass
class Service:
    """The parts of a running service.

    Attributes:
        receiving: uploads that come in now; each holds a place in the queue.
    """

    settings: ServiceSettings
    store: JobStore
    files: JobFiles
    events: Events
    metrics: ServiceMetrics
    supervisor: Supervisor
    prober: Prober
    exporter: Exporter
    live: LiveSessions
    receiving: int = 0

    def too_many(self) -> HTTPException:
        """The answer where the queue is full, with the time after which a place is likely free."""
        each = self.metrics.mean_duration or _USUAL_DURATION
        seconds = max(1, round(each / self.settings.workers))
        return HTTPException(
            429,
            f"the queue is full ({self.settings.max_queue} jobs wait); try again in {seconds} s.",
            {"Retry-After": str(seconds)},
        )


def _service(connection: HTTPConnection) -> Service:
    return cast(Service, connection.app.state.service)


ServiceDep = Annotated[Service, Depends(_service)]


def _job(job_id: str, service: ServiceDep) -> Job:
    job = service.store.job(job_id)
    if job is None:
        raise HTTPException(404, "there is no such job; it may be deleted.")
    return job


JobDep = Annotated[Job, Depends(_job)]


def _readable(job: JobDep) -> Job:
    if job.result is None:
        raise HTTPException(404, "the job has no result yet; look at its state.")
    return job


ReadableJobDep = Annotated[Job, Depends(_readable)]
"""A job that has a result."""
