"""Who may call: every check is made before any route."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from avt_memocmt.service.access import COOKIE, POLICY
from avt_memocmt.service.app import create_app
from avt_memocmt.service.settings import ServiceSettings, is_loopback, new_token

TOKEN = "0123456789abcdef-token"
HERE = "http://127.0.0.1:8765"


def caller(data: Path, host: str = "127.0.0.1", token: str | None = None) -> TestClient:
    """Calls an application whose workers were not started: whatever gets to a route fails there."""
    app = create_app(ServiceSettings(data, host=host, token=token))
    return TestClient(app, base_url=HERE, raise_server_exceptions=False, follow_redirects=False)


@pytest.fixture
def local(tmp_path: Path) -> TestClient:
    return caller(tmp_path)


@pytest.fixture
def shared(tmp_path: Path) -> TestClient:
    """A service that other machines reach."""
    return caller(tmp_path, "0.0.0.0", TOKEN)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8765", 200),
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("[::1]:8765", 200),
        ("evil.example", 421),  # DNS rebinding
        ("127.0.0.1.evil.example", 421),
        ("localhost@evil.example", 421),
        ("192.168.1.7", 421),
        ("", 421),
    ],
)
def test_only_names_of_this_machine_lead_here(local: TestClient, host: str, status: int) -> None:
    assert local.get("/health", headers={"Host": host}).status_code == status


def test_an_address_leads_to_a_shared_service_but_no_name(shared: TestClient) -> None:
    for host, status in (("192.168.1.7:8765", 200), ("evil.example", 421)):
        assert shared.get("/health", headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_of_others_change_nothing(local: TestClient, headers: dict[str, str]) -> None:
    for call in (
        lambda: local.post("/v1/jobs", headers=headers),
        lambda: local.delete("/v1/jobs/0", headers=headers),
    ):
        answer = call()
        assert answer.status_code == 403
        assert "another site" in answer.json()["detail"]
    with pytest.raises(WebSocketDisconnect), local.websocket_connect("/v1/stream", headers=headers):
        pass


def test_a_link_from_elsewhere_opens_the_page(local: TestClient) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert local.get("/health", headers=headers).status_code == 200
    assert local.get("/health", headers={"Origin": HERE}).status_code == 200


def test_a_token_opens_a_shared_service(shared: TestClient) -> None:
    refused = shared.get("/openapi.json")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert shared.get("/health").status_code == 200
    for sent, status in ((f"Bearer {TOKEN}", 200), ("Bearer x", 401), (f"Basic {TOKEN}", 401)):
        answer = shared.get("/openapi.json", headers={"Authorization": sent})
        assert answer.status_code == status
    with pytest.raises(WebSocketDisconnect), shared.websocket_connect("/v1/stream"):
        pass
    assert shared.post(f"/v1/jobs?token={TOKEN}").status_code == 401  # in an address it only reads


def test_the_token_of_an_address_becomes_a_cookie(shared: TestClient) -> None:
    answer = shared.get(f"/openapi.json?a=1&token={TOKEN}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/openapi.json?a=1")
    cookie = answer.headers["set-cookie"]
    assert f"{COOKIE}={TOKEN};" in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert shared.get("/openapi.json").status_code == 200  # the cookie is sent from here on
    elsewhere = shared.get(f"{HERE}//evil.example/?token={TOKEN}")
    assert elsewhere.headers["location"] == "/evil.example/"
    shared.cookies.clear()
    assert shared.get("/openapi.json?token=wrong").status_code == 401


def test_every_answer_carries_the_headers(local: TestClient) -> None:
    for answer in (local.get("/health"), local.get("/nowhere"), local.post("/v1/jobs?x=1")):
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
    assert "unsafe" not in POLICY
    assert local.get("/v1/nowhere").headers["cache-control"] == "no-store"


def test_loopback_is_told_from_other_addresses() -> None:
    assert [is_loopback(x) for x in ("127.0.0.1", "::1", "localhost", "127.9.9.9")] == [True] * 4
    assert [is_loopback(x) for x in ("0.0.0.0", "::", "192.168.1.7", "pc")] == [False] * 4
    assert len(new_token()) > 30
    assert new_token() != new_token()
