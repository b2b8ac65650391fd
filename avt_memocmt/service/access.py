"""Who may call: Host, Origin and token are checked on everything, before any route."""

from __future__ import annotations

import hmac
import json
import re
import socket
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from avt_memocmt.service.settings import ServiceSettings, is_loopback

COOKIE = "avt_memocmt_token"
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=()",
}
_OPEN = {"/health"}
"""Needs no token: it says nothing but that the service is there."""
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]/@\s]+)(?::\d{1,5})?")


class AccessControl:
    """Refuses what does not come from the service's own pages or from a program with its token.

    Host: a name that leads here is one that the service knows, so that a foreign page whose name is
    made to lead here (DNS rebinding) reaches nothing. Where it listens to other machines, any IP
    address will do, for no name can be rebound to it, and a token is asked for.
    Origin: a browser sends it with everything that changes something and with WebSockets; it must
    be that of the Host. Programs send none.

    Args:
        app: what is guarded.
        settings: of the service.
    """

    def __init__(self, app: ASGIApp, settings: ServiceSettings) -> None:
        self._app = app
        self._token = settings.token
        self._is_local = is_loopback(settings.host)
        self._hosts = _LOOPBACK | {settings.host.lower()}
        if not self._is_local:
            self._hosts |= {socket.gethostname().lower(), socket.getfqdn().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            return await _refuse(scope, send, *refusal)
        if self._token is not None and scope["type"] == "http":
            query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
            if scope["method"] == "GET" and "token" in query and self._is_token(query["token"]):
                return await self._take_token(scope, send)
        await self._app(scope, receive, _with_headers(scope, send))

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if not self._is_known(host):
            return 421, "the service is not known by this name; use the address that it printed."
        origin = headers.get("origin")
        if origin is not None and not _is_same(origin, host):
            return 403, "this comes from a page of another site."
        is_change = scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD")
        if is_change and headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return 403, "this comes from a page of another site."
        if self._token is None or scope["path"] in _OPEN or self._has_token(scope, headers):
            return None
        return (
            401,
            "a token is needed; use the address that the service printed, or send it as "
            "Authorization: Bearer.",
        )

    def _is_known(self, host: str) -> bool:
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = match[1].strip("[]").lower().rstrip(".")
        if name in self._hosts:
            return True
        return not self._is_local and _is_address(name)

    def _has_token(self, scope: Scope, headers: Headers) -> bool:
        scheme, _, sent = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(sent.strip()):
            return True
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            cookie = None
        if cookie is not None and self._is_token(cookie.value):
            return True
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        is_page = scope["type"] == "http" and scope["method"] == "GET"
        return is_page and self._is_token(query.get("token", ""))

    def _is_token(self, sent: str) -> bool:
        assert self._token is not None
        return hmac.compare_digest(sent.encode(), self._token.encode())

    async def _take_token(self, scope: Scope, send: Send) -> None:
        """Put the token of an address into a cookie, and go on to the address without it."""
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        query = urlencode([(name, value) for name, value in pairs if name != "token"])
        # One slash: "//host" would lead elsewhere.
        path = "/" + scope["path"].lstrip("/\\")
        cookie = f"{COOKIE}={self._token}; Path=/; HttpOnly; SameSite=Strict; Max-Age=31536000"
        headers = {"Location": f"{path}?{query}" if query else path, "Set-Cookie": cookie}
        await _answer(_with_headers(scope, send), 303, headers, b"")


async def _refuse(scope: Scope, send: Send, status: int, reason: str) -> None:
    if scope["type"] == "websocket":
        return await send({"type": "websocket.close", "code": 1008, "reason": reason[:120]})
    headers = {"Content-Type": "application/json"}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body = json.dumps({"detail": reason}).encode()
    await _answer(_with_headers(scope, send), status, headers, body)


async def _answer(send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    raw.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def _with_headers(scope: Scope, send: Send) -> Send:
    async def add(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            if scope["path"].startswith("/v1/"):
                headers.setdefault("Cache-Control", "no-store")  # deleted is deleted
        await send(message)

    return add


def _is_same(origin: str, host: str) -> bool:
    parts = urlsplit(origin)
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
