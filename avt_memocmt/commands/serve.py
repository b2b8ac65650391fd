"""`avt-memocmt serve`: the studio in the browser, and the REST interface behind it."""

from __future__ import annotations

import os
import re
import threading
import time
import webbrowser
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from avt_memocmt.commands.console import log
from avt_memocmt.errors import AvtError
from avt_memocmt.extras import require_extra

if TYPE_CHECKING:
    import uvicorn

    from avt_memocmt.service.settings import ServiceSettings

PACKAGES = ("fastapi", "uvicorn", "sqlalchemy", "python_multipart", "prometheus_client", "psutil")
_TOKEN = re.compile(r"[A-Za-z0-9._~-]{16,}")


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8765,
    data: Annotated[
        Path | None, typer.Option(help="Folder of uploads and results; one of yours by default.")
    ] = None,
    database: Annotated[
        str,
        typer.Option(
            help="Where jobs are kept, such as postgresql+psycopg://host/name; by default a file "
            "in the data folder."
        ),
    ] = "",
    workers: Annotated[int, typer.Option(min=1, help="Jobs worked on at a time.")] = 1,
    allow_folder: Annotated[
        list[Path] | None,
        typer.Option(help="A folder whose files jobs may name by their path; may be repeated."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="AVT_MEMOCMT_TOKEN",
            help="What callers must show; made and printed where others can reach the address.",
        ),
    ] = None,
    max_upload: Annotated[int, typer.Option(min=1, help="Most MB of one upload.")] = 2000,
    max_queue: Annotated[int, typer.Option(min=1, help="Most jobs that wait.")] = 100,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Open the studio in the browser, with a REST interface; nothing leaves this machine."""
    require_extra("web", PACKAGES, "the service needs")
    import platformdirs

    from avt_memocmt.service.settings import ServiceSettings, is_loopback, new_token

    if token is not None and not _TOKEN.fullmatch(token):
        raise AvtError("the token needs 16 or more letters, digits or ._~-; leave it out for one.")
    if token is None and not is_loopback(host):
        token = new_token()
    settings = ServiceSettings(
        data=(data or platformdirs.user_data_path("avt-memocmt")).absolute(),
        database=database,
        host=host,
        port=port,
        workers=workers,
        allowed_folders=tuple(_folder(path) for path in allow_folder or ()),
        token=token,
        max_upload=max_upload * 1_000_000,
        max_queue=max_queue,
    )
    _run(settings, open_page)


def _run(settings: ServiceSettings, open_page: bool) -> None:
    import uvicorn
    from filelock import FileLock, Timeout

    from avt_memocmt.service.app import create_app

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            """Let pages that are open go first: each holds a connection for events."""
            if self.started:
                app.state.service.events.close()
            super().handle_exit(sig, frame)

    try:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)  # films of people
    except OSError as error:
        raise AvtError(
            f"cannot make the folder {settings.data} ({error.strerror}); give another --data."
        ) from error
    try:
        with FileLock(settings.data / "lock", timeout=0):
            app = create_app(settings)
            server = Server(
                uvicorn.Config(
                    app,
                    host=settings.host,
                    port=settings.port,
                    log_level="warning",
                    server_header=False,
                    timeout_graceful_shutdown=2,
                )
            )
            told = threading.Thread(target=_tell, args=(server, settings, open_page), daemon=True)
            told.start()
            with suppress(KeyboardInterrupt):
                server.run()
            if not server.started:
                raise AvtError(
                    f"the service cannot listen on {settings.host}:{settings.port}; give another "
                    "--port."
                )
    except Timeout as error:
        raise AvtError(
            f"another service uses {settings.data}; end it, or give another folder with --data."
        ) from error


def _tell(server: uvicorn.Server, settings: ServiceSettings, open_page: bool) -> None:
    """Print the address once the service answers there, and open it where that is wanted."""
    while not server.started:
        if server.should_exit:
            return
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{host}:{port}/"
    if settings.token is not None:
        url += f"?token={settings.token}"
    log.print(f"the studio is at {url} (Ctrl-C ends it)")
    if open_page:
        webbrowser.open(url)


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise AvtError(f"{path} is no folder; give one that is there to --allow-folder.")
    return Path(os.path.realpath(path))
