"""Servers that send media to the tests, each on a port of this machine."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from avt_memocmt.media.types import SAMPLE_RATE


def serve(payload: bytes, connections: int) -> int:
    """Send the same bytes to several callers, one after the other; returns the port."""
    server = socket.create_server(("127.0.0.1", 0))

    def run_server() -> None:
        with server:
            for _ in range(connections):
                caller, _ = server.accept()
                with caller:
                    caller.sendall(payload)

    threading.Thread(target=run_server, daemon=True).start()
    port: int = server.getsockname()[1]
    return port


def transport_stream(path: Path, sound: NDArray[np.float32]) -> bytes:
    """Sound as MPEG-TS, which players read while it comes."""
    samples = (sound * 32767).astype(np.int16)[None]
    with av.open(str(path), "w", format="mpegts") as container:
        track = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        for packet in [*track.encode(frame), *track.encode(None)]:
            container.mux(packet)
    return path.read_bytes()


@contextmanager
def file_server(
    payload: bytes, *, states_length: bool = True, sent: int | None = None, **headers: str
) -> Iterator[str]:
    """Serve the same bytes at every address by HTTP, without ranges; yields the server's address.

    Without a stated length they come in chunks; with `sent` the connection breaks after so many.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            self.send_response(200)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            if states_length:
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload[:sent])
            else:
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(payload), payload))
            self.close_connection = True

        def handle(self) -> None:
            with suppress(OSError):  # the caller may have heard enough
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
