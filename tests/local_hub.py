"""A server that answers as the Hugging Face hub does, for one repository kept in memory.

What it does not know it answers with 404, as the hub. Files are named by their SHA-1 and given out
whole; every commit keeps all files before it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import unquote


class LocalHub(ThreadingHTTPServer):
    """A hub of one user, whose token is "secret".

    Attributes:
        commits: files by commit, in order; the last is the branch "main".
        downloads: paths that were asked for.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repository: str | None = None
        self.commits: dict[str, dict[str, bytes]] = {}
        self.downloads: list[str] = []

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}"

    def commit(self, files: dict[str, bytes]) -> str:
        """Put files in beside those that are there; returns the commit."""
        before = list(self.commits.values())[-1] if self.commits else {}
        name = _sha1(str(len(self.commits)).encode())
        self.commits[name] = before | files
        return name

    def resolve(self, revision: str) -> str | None:
        """The commit that a branch or commit names."""
        if revision == "main" and self.commits:
            return list(self.commits)[-1]
        return revision if revision in self.commits else None


@contextmanager
def running_hub() -> Iterator[LocalHub]:
    """Answer until the block ends."""
    with LocalHub() as hub:
        Thread(target=hub.serve_forever, daemon=True).start()
        yield hub
        hub.shutdown()


def _sha1(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    server: LocalHub
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Authorization") != "Bearer secret":
            return self._answer(401, {"error": "no token"})
        path = self.path.split("?")[0]
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            is_new, self.server.repository = self.server.repository != name, name
            return self._answer(200 if is_new else 409, {"url": f"{self.server.url}/{name}"})
        if path == "/api/validate-yaml":
            return self._answer(200, {"errors": [], "warnings": []})
        prefix = f"/api/models/{self.server.repository}"
        if path == f"{prefix}/preupload/main":
            how = {"uploadMode": "regular", "shouldIgnore": False}
            files = [{**file, **how} for file in json.loads(body)["files"]]
            return self._answer(200, {"files": files})
        if path == f"{prefix}/commit/main":
            lines = [json.loads(line)["value"] for line in body.splitlines()]
            files = {
                line["path"]: base64.b64decode(line["content"]) for line in lines if "path" in line
            }
            commit = self.server.commit(files)
            url = f"{self.server.url}/{self.server.repository}/commit/{commit}"
            return self._answer(200, {"success": True, "commitOid": commit, "commitUrl": url})
        return self._missing("Entry")

    def do_GET(self) -> None:
        self.server.downloads.append(self.path)
        api, plain = f"/api/models/{self.server.repository}", f"/{self.server.repository}/resolve"
        path = unquote(self.path.split("?")[0])
        if path.startswith(f"{api}/"):
            kind, _, revision = path.removeprefix(f"{api}/").partition("/")
            commit = self.server.resolve(revision)
            if commit is None:
                return self._missing("Revision")
            files = self.server.commits[commit]
            if kind == "tree":
                listed = [
                    {"type": "file", "path": name, "size": len(content), "oid": _sha1(content)}
                    for name, content in files.items()
                ]
                return self._answer(200, listed)
            return self._answer(200, {"id": self.server.repository, "sha": commit})
        if path.startswith(f"{plain}/"):
            revision, _, name = path.removeprefix(f"{plain}/").partition("/")
            commit = self.server.resolve(revision)
            if commit is None or name not in self.server.commits[commit]:
                return self._missing("Entry")
            return self._send(commit, self.server.commits[commit][name])
        return self._missing("Repo")

    def do_HEAD(self) -> None:
        self.do_GET()

    def _send(self, commit: str, content: bytes) -> None:
        self.send_response(200)
        self.send_header("ETag", f'"{_sha1(content)}"')
        self.send_header("X-Repo-Commit", commit)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def _missing(self, what: str) -> None:
        self._answer(404, {"error": "not found"}, {"X-Error-Code": f"{what}NotFound"})

    def _answer(self, status: int, content: object, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Not on the screen."""
