"""What `avt-memocmt serve` is told."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

DATABASE_FILE = "jobs.sqlite3"
"""In the data folder, where no database is named."""


@dataclass(frozen=True)
class ServiceSettings:
    """Settings of the service.

    Attributes:
        data: folder of uploads and results.
        database: SQLAlchemy's URL of the jobs; "" is an SQLite file in `data`.
        host: address to listen on.
        port: port to listen on.
        workers: processes that work on jobs.
        allowed_folders: whose files a job may name by their path; resolved.
        token: that callers must show; None asks for none.
        max_upload: bytes of one upload.
        max_queue: jobs that may wait.
        max_live: live sessions at a time, each of which is a process.
        max_memory: bytes of resident memory of one worker.
    """

    data: Path
    database: str = ""
    host: str = "127.0.0.1"
    port: int = 8765
    workers: int = 1
    allowed_folders: tuple[Path, ...] = ()
    token: str | None = None
    max_upload: int = 2_000_000_000
    max_queue: int = 100
    max_live: int = 2
    max_memory: int = 6_000_000_000

    @property
    def database_url(self) -> str:
        """SQLAlchemy's URL of the jobs."""
        return self.database or f"sqlite:///{self.data / DATABASE_FILE}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def new_token() -> str:
    """A token that cannot be guessed."""
    return secrets.token_urlsafe(24)
