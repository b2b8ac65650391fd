"""Opens the studio on a film: starts the service, and puts the film in if there is nothing in it.

python scripts/serve_demo.py FILM [options of avt-memocmt serve]
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import webbrowser
from pathlib import Path

from avt_memocmt.client import Client

_ADDRESS = re.compile(r"(http://[^\s/]+)/(?:\?token=(\S+))?")


def open_on(film: Path, address: str, token: str | None) -> None:
    """Open the page; with the film in it, where there is nothing else."""
    with Client(address, token) as client:
        page = f"{address}/"
        if next(client.jobs(), None) is None:
            page += f"jobs/{client.submit(film).id}"
    webbrowser.open(page + (f"?token={token}" if token else ""))


def main() -> int:
    """Run the service until it is ended."""
    film, *options = sys.argv[1:]
    command = [sys.executable, "-m", "avt_memocmt", "serve", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as service:
        assert service.stderr is not None
        signal.signal(signal.SIGTERM, lambda *_: service.terminate())
        try:
            for line in service.stderr:
                print(line, end="", file=sys.stderr)
                if found := _ADDRESS.search(line):
                    arguments = Path(film), found[1], found[2]
                    threading.Thread(target=open_on, args=arguments, daemon=True).start()
        except KeyboardInterrupt:
            pass  # the service got it too, and ends in order
        return service.wait()


if __name__ == "__main__":
    sys.exit(main())
