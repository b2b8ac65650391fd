"""The application: parts put together, routes behind access control."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from avt_memocmt.service import pages
from avt_memocmt.service.access import AccessControl
from avt_memocmt.service.database import open_database
from avt_memocmt.service.errors import add_handlers
from avt_memocmt.service.events import Events
from avt_memocmt.service.exporter import Exporter
from avt_memocmt.service.job_files import JobFiles
from avt_memocmt.service.live_session import LiveSessions
from avt_memocmt.service.metrics import ServiceMetrics
from avt_memocmt.service.probe import Prober
from avt_memocmt.service.routes import (
    comparison,
    corrections,
    explanations,
    exports,
    jobs,
    live,
    results,
    watching,
)
from avt_memocmt.service.service import Service
from avt_memocmt.service.settings import ServiceSettings
from avt_memocmt.service.store import JobStore
from avt_memocmt.service.supervisor import Supervisor
from avt_memocmt.version import __version__

MOST_BODY = 10_000_000
"""Bytes of a request, but for uploads."""


def create_app(settings: ServiceSettings) -> FastAPI:
    """The service as an ASGI application, which starts its workers when it is started.

    Args:
        settings: of the service.

    Raises:
        AvtError: the data folder or the database cannot be used.
    """
    files = JobFiles(settings.data, settings.allowed_folders)
    store = JobStore(open_database(settings.database_url))

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        metrics, events = ServiceMetrics(store), Events()
        prober, exporter = Prober(), Exporter()
        sessions = LiveSessions(settings.max_live, settings.max_memory, metrics.live_sessions)
        supervisor = Supervisor(settings, store, files, events, metrics)
        app.state.service = Service(
            settings, store, files, events, metrics, supervisor, prober, exporter, sessions
        )
        await run_in_threadpool(supervisor.start)
        await run_in_threadpool(prober.start)
        try:
            yield
        finally:
            events.close()
            await sessions.close()
            await run_in_threadpool(supervisor.stop)
            await run_in_threadpool(prober.stop)
            await run_in_threadpool(exporter.stop)
            store.close()

    app = FastAPI(
        title="AVT-MemoCMT",
        summary="Emotions in conversation, from audio, video and text, on your own machine.",
        version=__version__,
        lifespan=running,
        docs_url=None,  # its files come from elsewhere
        redoc_url=None,
        max_body_size=MOST_BODY,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    add_handlers(app)
    for part in (jobs, results, exports, corrections, explanations, comparison, live, watching):
        app.include_router(part.router)
    app.include_router(pages.router)
    app.add_middleware(AccessControl, settings=settings)
    return app
