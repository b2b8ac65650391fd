"""Starts `avt-memocmt serve` as its user does, in a process that reaches this machine alone."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from avt_memocmt.client import Client, Job

# Python runs it first in every process of the service. What tries to reach beyond this machine is
# written down, and fails.
GUARD = """
import os, sys
FOLDER = os.environ["SOCKET_GUARD"]
with open(os.path.join(FOLDER, "guarded"), "a") as file:
    file.write(f"{os.getpid()}\\\\n")

def is_here(address):
    host = address[0] if isinstance(address, tuple) else address
    return not isinstance(address, tuple) or str(host) in ("", "localhost", "127.0.0.1", "::1")

def guard(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.bind"):
        address = arguments[1]
    elif event == "socket.getaddrinfo":
        address = (arguments[0] or "", 0)
    else:
        return
    if not is_here(address):
        with open(os.path.join(FOLDER, "attempts"), "a") as file:
            file.write(f"{event} {address}\\\\n")
        raise PermissionError(f"{event} {address}")

sys.addaudithook(guard)
""".replace("\\\\n", "\\n")


class RunningService:
    """A service in a process of its own.

    Args:
        folder: for its data, its log and what the guard writes down.
        options: of `serve`.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.data = folder, folder / "data"
        self._options = options
        self.client = Client()
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        guard = self.folder / "guard"
        guard.mkdir(exist_ok=True)
        (guard / "sitecustomize.py").write_text(GUARD)
        search = os.pathsep.join([str(guard), str(Path(__file__).parents[1])])
        environment = os.environ | {
            "PYTHONPATH": search,
            "SOCKET_GUARD": str(guard),
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-m", "avt_memocmt", "serve", "--port", "0"]
        self.log = (self.folder / "log.txt").open("w")
        self.process = subprocess.Popen(
            [*command, "--data", str(self.data), *self._options],
            stderr=self.log,
            stdout=self.log,
            env=environment,
        )
        self.url = wait_for(self._address)
        self.client.close()
        self.client = Client(self.url)

    def _address(self) -> str | None:
        assert self.process.poll() is None, (self.folder / "log.txt").read_text()
        match = re.search(r"http://\S+?(?=/(?:\?|\s))", (self.folder / "log.txt").read_text())
        return match and match[0]

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        self.client.close()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        self.log.close()

    def kill(self) -> None:
        """End it as a power cut does; its children see it and end."""
        children = self.children()
        self.process.kill()
        self.process.wait(30)
        psutil.wait_procs(children, 20)
        self.log.close()

    def children(self) -> list[psutil.Process]:
        """The processes that it started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def kill_worker(self) -> None:
        """End the worker, the one child that holds the networks."""
        max(self.children(), key=lambda child: child.memory_info().rss).kill()

    def wait_for_state(self, job_id: str, *states: str) -> Job:
        """The job, once it is in one of these states."""

        def look() -> Job | None:
            job = self.client.job(job_id)
            return job if job.state in states else None

        return wait_for(look)

    def guarded(self) -> set[int]:
        """Numbers of the processes in which the guard stands."""
        return {int(line) for line in (self.folder / "guard/guarded").read_text().split()}

    def attempts(self) -> str:
        """What tried to reach beyond this machine."""
        path = self.folder / "guard/attempts"
        return path.read_text() if path.exists() else ""

    def stored(self) -> bytes:
        """Everything in the data folder, names included."""
        files = [path for path in self.data.rglob("*") if path.is_file()]
        return b"".join(str(path).encode() + path.read_bytes() for path in files)


def wait_for(look: Callable[[], Any], seconds: float = 400) -> Any:
    """What `look` finds, once it finds something."""
    until = time.monotonic() + seconds
    while True:
        found = look()
        if found is not None and found is not False:
            return found
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


def detail(answer: Any) -> str:
    """The sentence of a refusal."""
    return str(json.loads(answer.content)["detail"])
