"""Whether the service is well, and what changes in it."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Any

from fastapi import APIRouter, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from prometheus_client import CONTENT_TYPE_LATEST

from avt_memocmt.service.service import ServiceDep
from avt_memocmt.version import __version__

router = APIRouter(tags=["watching"])


@router.get("/health")
def health() -> dict[str, Any]:
    """Answers as long as the service is there."""
    return {"status": "ok", "version": __version__}


@router.get("/metrics", response_class=Response)
def metrics(service: ServiceDep) -> Response:
    """Counters and gauges in the format of Prometheus."""
    return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)


@router.get("/v1/events", response_class=EventSourceResponse)
async def events(service: ServiceDep) -> AsyncIterable[ServerSentEvent]:
    """Server-sent events: `job` with a job, `deleted` with its id, `explanation` with its state."""
    with service.events.reader() as found:
        async for name, data in found:
            yield ServerSentEvent(event=name, data=data)
