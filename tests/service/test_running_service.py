"""One service as its user starts it: uploads, results, corrections, live sessions, deletion."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import psutil
import pytest
import websockets
from footage import Spoken
from media_factory import speech_like, write_wav
from PIL import Image
from recorder import record
from running_service import RunningService, detail, wait_for
from studio_browser import join_clips

from avt_memocmt import EmotionRecognizer
from avt_memocmt.client import Client, Job, ServiceError
from avt_memocmt.errors import AvtError
from avt_memocmt.exports.formats import FORMATS
from avt_memocmt.inference.results import to_json
from avt_memocmt.inference.results_table import PROBABILITIES

NAME = "Anna's talk.mpg"


@pytest.fixture(scope="module")
def films(talking_clip: Spoken, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the service may read, beside one that it may not."""
    folder = tmp_path_factory.mktemp("films")
    (folder / "open").mkdir()
    (folder / "open/talk.mkv").write_bytes(talking_clip.path.read_bytes())
    (folder / "secret.mkv").write_bytes(talking_clip.path.read_bytes())
    (folder / "open/link.mkv").symlink_to(folder / "secret.mkv")
    return folder


@pytest.fixture(scope="module")
def service(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    folder = tmp_path_factory.mktemp("service")
    running = RunningService(
        folder, "--allow-folder", str(films / "open"), "--max-upload", "5", "--max-queue", "20"
    )
    yield running
    running.stop()


@pytest.fixture(scope="module")
def client(service: RunningService) -> Client:
    return service.client


@pytest.fixture(scope="module")
def http(service: RunningService) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, timeout=60, trust_env=False) as http:
        yield http


@pytest.fixture(scope="module")
def job(http: httpx.Client, client: Client, talking_clip: Spoken) -> Job:
    """A film that was predicted."""
    with talking_clip.path.open("rb") as film:
        answer = http.post(
            "/v1/jobs",
            files={"file": (f"../../{NAME}", film)},
            data={"options": json.dumps({"faces": "all", "speakers": "off"})},
        )
    assert answer.status_code == 202
    assert (answer.json()["state"], answer.json()["kind"]) == ("queued", "video")
    return client.wait(answer.json()["id"])


def test_the_answer_is_that_of_predict(
    job: Job, client: Client, recognizer: EmotionRecognizer, talking_clip: Spoken
) -> None:
    alone = to_json(recognizer.predict(talking_clip.path, faces="all", speakers="off"))
    found = to_json(client.prediction(job.id))
    assert found["media"] == NAME  # what stood before it was a path
    assert [u["text"] for u in found["utterances"]] == [u["text"] for u in alone["utterances"]]
    for ours, theirs in zip(found["utterances"], alone["utterances"], strict=True):
        np.testing.assert_allclose(
            list(ours["probabilities"].values()), list(theirs["probabilities"].values()), atol=0.01
        )
    assert found["faces"] == alone["faces"]
    assert sum((job.emotions or {}).values()) == pytest.approx(1, abs=0.001)
    assert (job.progress, job.error, job.revision) == (1.0, None, 0)


def test_film_faces_and_places_of_faces(job: Job, http: httpx.Client, talking_clip: Spoken) -> None:
    film = talking_clip.path.read_bytes()
    part = http.get(f"/v1/jobs/{job.id}/media", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, film[10:20])
    assert part.headers["content-disposition"].startswith("inline")
    assert part.headers["x-content-type-options"] == "nosniff"
    face = http.get(f"/v1/jobs/{job.id}/faces/F1")
    assert Image.open(io.BytesIO(face.content)).size == (112, 112)
    assert http.get(f"/v1/jobs/{job.id}/faces/F99").status_code == 404
    frames = http.get(f"/v1/jobs/{job.id}/frames").json()
    width, height = frames["picture"]
    assert frames["faces"]
    for _, left, top, wide, high, face_id, speaks in frames["faces"]:
        assert 0 < left + wide / 2 < width
        assert 0 < top + high / 2 < height
        assert face_id is None or face_id == "F1"
        assert isinstance(speaks, bool)


@pytest.mark.parametrize(
    "name", [*sorted(FORMATS.keys() - {"frames-parquet"}), "report", "overlay"]
)
def test_every_export_is_a_download(
    name: str, job: Job, http: httpx.Client, service: RunningService
) -> None:
    answer = http.get(f"/v1/jobs/{job.id}/exports/{name}")
    assert answer.status_code == 200
    assert "filename*=utf-8" in answer.headers["content-disposition"] or (
        "Anna" in answer.headers["content-disposition"]
    )
    assert answer.content or name == "rttm"  # which holds speakers, and nobody was told apart
    if name == "frames":  # its faces were judged by a worker
        header, row = (line.split(",") for line in answer.text.splitlines()[:2])
        judged = [float(x) for name, x in zip(header, row, strict=True) if name in PROBABILITIES]
        assert sum(judged) == pytest.approx(1, abs=0.01)
    if name == "overlay":
        with av.open(io.BytesIO(answer.content)) as film:
            assert {stream.type for stream in film.streams} == {"video", "audio"}
    wait_for(lambda: not list((service.data / "temporary").iterdir()))


def test_an_unknown_export_names_the_known_ones(job: Job, http: httpx.Client) -> None:
    answer = http.get(f"/v1/jobs/{job.id}/exports/docx")
    assert answer.status_code == 404
    assert "textgrid" in detail(answer)


def test_events_tell_of_every_state(
    service: RunningService, http: httpx.Client, tmp_path: Path
) -> None:
    told = []
    with http.stream("GET", "/v1/events") as events:
        sound = write_wav(tmp_path / "hum.wav", speech_like(1.0))
        created = service.client.submit(sound, transcribe=False, speakers="off")
        lines = events.iter_lines()
        while "deleted" not in told:
            name = next(line for line in lines if line.startswith("event: ")).removeprefix(
                "event: "
            )
            data = json.loads(next(lines).removeprefix("data: "))
            if data.get("id") == created.id:
                told.append(data.get("state", name))
            if data.get("state") in ("completed", "failed"):
                service.client.delete(created.id)
    assert [state for state in ("queued", "in_progress", "deleted") if state in told] == [
        "queued",
        "in_progress",
        "deleted",
    ]


def test_health_metrics_and_openapi(job: Job, http: httpx.Client) -> None:
    assert http.get("/health").json()["status"] == "ok"
    metrics = http.get("/metrics").text
    assert 'avt_memocmt_jobs{state="completed"}' in metrics
    counted = next(x for x in metrics.splitlines() if x.startswith("avt_memocmt_media_seconds_tot"))
    assert float(counted.split()[1]) >= (job.duration or 0) > 0
    paths = http.get("/openapi.json").json()["paths"]
    assert {"/v1/jobs", "/v1/jobs/{job_id}/prediction", "/v1/compare"} <= paths.keys()
    assert http.get("/docs").status_code == 404  # its files would come from elsewhere


def test_jobs_are_listed_newest_first_and_searched(job: Job, client: Client, films: Path) -> None:
    by_path = client.submit_path(films / "open/talk.mkv", speakers="off")
    assert [found.id for found in client.jobs()][-2:] == [by_path.id, job.id]
    assert [found.id for found in client.jobs(search="ANNA")] == [job.id]
    assert [found.id for found in client.jobs(search="100%")] == []
    client.cancel(by_path.id)
    client.delete(by_path.id)
    assert (films / "open/talk.mkv").exists()  # it was never the service's


def test_what_is_no_media_is_refused_by_its_content(
    http: httpx.Client, service: RunningService
) -> None:
    bomb = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(bomb, "png")
    playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n/etc/passwd\n#EXT-X-ENDLIST\n"
    for name, content, why in (
        ("film.mp4", b"this is no film", "not media"),
        ("film.mp4", b"", "empty"),
        ("film.mp4", playlist, ""),
        ("photo.png", bomb.getvalue(), "pixels"),
    ):
        answer = http.post("/v1/jobs", files={"file": (name, content)})
        assert answer.status_code == 415, name
        assert why in detail(answer)
        assert str(service.data) not in detail(answer)
    wait_for(lambda: not list((service.data / "temporary").iterdir()))


def test_what_is_wrong_with_a_request_is_said(http: httpx.Client, talking_clip: Spoken) -> None:
    film = talking_clip.path.read_bytes()

    def post(**parts: object) -> httpx.Response:
        return http.post("/v1/jobs", files={"file": ("a.mpg", film)}, **parts)  # type: ignore[arg-type]

    for options, why in (
        ({"speakers": 0}, "speakers"),
        ({"speakerz": 2}, "speakerz"),
        ({"min_speakers": 3, "max_speakers": 2}, "at least 3"),
        ({"transcribe": "yes"}, "transcribe"),
    ):
        answer = post(data={"options": json.dumps(options)})
        assert answer.status_code == 422
        assert why in detail(answer)
    assert post(data={"options": "{"}).status_code == 422
    assert post(data={"colour": "red"}).status_code == 422
    assert http.post("/v1/jobs", data={"options": "{}"}).status_code == 422
    files = {"file": ("a.mpg", film), "transcript": ("a.srt", b"\n\n")}
    assert "transcript" in detail(http.post("/v1/jobs", files=files))
    assert http.get("/v1/jobs/" + "0" * 32).status_code == 404
    assert http.get("/v1/jobs/..%2F..%2Fetc").status_code == 404


def test_an_upload_is_cut_off_at_the_limit(service: RunningService) -> None:
    def endless() -> Iterator[bytes]:
        head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
        yield head
        for _ in range(20):
            yield bytes(1_000_000)

    # No length is stated, so nothing but counting helps.
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    with httpx.Client(base_url=service.url, trust_env=False) as http:
        try:
            answer = http.post("/v1/jobs", content=endless(), headers=kind)
        except httpx.TransportError:
            pass  # it may hang up while more is being sent
        else:
            assert answer.status_code == 413
            assert "5 MB" in detail(answer)
    wait_for(lambda: not list((service.data / "temporary").iterdir()))


def test_paths_lead_into_allowed_folders_alone(client: Client, films: Path) -> None:
    said = set()
    for path in (
        films / "secret.mkv",
        films / "open/link.mkv",
        films / "open/../secret.mkv",
        films / "open/missing.mkv",
        Path("/etc/passwd"),
    ):
        with pytest.raises(ServiceError) as refused:
            client.submit_path(path)
        assert refused.value.status == 422
        said.add(str(refused.value))
    assert len(said) == 1  # it does not tell what is there
    with pytest.raises(ServiceError, match="names no file"):
        client.submit_path(films / "open")


def test_a_name_is_corrected_at_once_and_words_are_decided_anew(
    service: RunningService, http: httpx.Client, talking_clip: Spoken
) -> None:
    client = service.client
    job = client.wait(client.submit(talking_clip.path, speakers="off").id)
    before = to_json(client.prediction(job.id))
    changed = client.correct(
        job.id, utterances=[{"index": 0, "text": "I hate this terrible day!", "speaker": "S2"}]
    )
    assert (changed.state, changed.revision) == ("queued", 1)
    assert to_json(client.prediction(job.id)) == before  # it stays readable
    assert client.wait(job.id).error is None
    after = to_json(client.prediction(job.id))
    first = after["utterances"][0]
    assert (first["text"], first["speaker"], first["text_source"]) == (
        "I hate this terrible day!",
        "S2",
        "given",
    )
    assert first["probabilities"] != before["utterances"][0]["probabilities"]
    spans = [[(u["start"], u["end"]) for u in p["utterances"]] for p in (before, after)]
    assert spans[0] == spans[1]
    named = client.correct(job.id, names={"S2": "Anna"})
    assert (named.state, named.revision) == ("completed", 2)
    assert [who.name for who in client.prediction(job.id).speakers] == ["Anna"]
    assert "Anna" in http.get(f"/v1/jobs/{job.id}/exports/report").text
    for wrong in (
        {"names": {"S9": "Bob"}},
        {"utterances": [{"index": 99, "text": "?"}]},
        {"utterances": []},
    ):
        answer = http.post(f"/v1/jobs/{job.id}/corrections", json=wrong)
        assert answer.status_code == 422
    for wrong in ("names/S2", "utterances/99"):  # S2 was nobody who was recognised
        assert http.delete(f"/v1/jobs/{job.id}/corrections/{wrong}").status_code == 422

    restored = client.restore(job.id)
    assert (restored.state, restored.revision) == ("completed", 3)
    assert restored.emotions == job.emotions
    assert to_json(client.prediction(job.id)) == before
    client.delete(job.id)


def test_one_correction_is_taken_back_and_the_others_stay(
    client: Client, http: httpx.Client, talking_clips: list[Spoken], tmp_path: Path
) -> None:
    film = join_clips(tmp_path / "two.mp4", [clip.path for clip in talking_clips[:2]])
    captions = tmp_path / "two.srt"
    captions.write_text(
        "1\n00:00:00,500 --> 00:00:02,500\nAnna: Good morning.\n\n"
        "2\n00:00:03,500 --> 00:00:05,500\nBen: So it is.\n"
    )
    job = client.wait(client.submit(film, captions).id)
    before = to_json(client.prediction(job.id))
    anna, ben = (spoken["speaker"] for spoken in before["utterances"])
    # The second one comes before the first one is decided on, and both hold.
    client.correct(job.id, utterances=[{"index": 0, "text": "I hate this!"}])
    client.correct(job.id, names={ben: "Bob"}, utterances=[{"index": 1, "text": "So do I!"}])
    client.wait(job.id)
    both = to_json(client.prediction(job.id))
    assert [spoken["text"] for spoken in both["utterances"]] == ["I hate this!", "So do I!"]
    assert http.get(f"/v1/jobs/{job.id}/recognised").json() == before

    address = f"/v1/jobs/{job.id}/corrections"
    answer = http.delete(f"{address}/utterances/0")
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    client.wait(job.id)
    one = to_json(client.prediction(job.id))
    assert [spoken["text"] for spoken in one["utterances"]] == ["Good morning.", "So do I!"]
    assert http.delete(f"{address}/utterances/1").json()["state"] == "completed"  # at once
    found = to_json(client.prediction(job.id))
    assert found["utterances"] == before["utterances"]
    assert {who["id"]: who["name"] for who in found["speakers"]}[ben] == "Bob"
    assert http.delete(f"{address}/names/{ben}").status_code == 200
    assert to_json(client.prediction(job.id)) == before
    assert anna != ben
    client.delete(job.id)


def test_the_decision_that_is_shown_is_explained(
    client: Client, http: httpx.Client, small_face: Path
) -> None:
    job = client.wait(client.submit(small_face).id)
    client.correct(job.id, utterances=[{"index": 0, "text": "I hate this terrible day!"}])
    client.wait(job.id)
    shown = to_json(client.prediction(job.id))["utterances"][0]
    address = f"/v1/jobs/{job.id}/explanations"
    assert http.get(f"{address}/0").status_code == 404
    assert http.post(address, json={"utterance": 1}).status_code == 422
    assert http.post(address, json={"utterance": 0}).status_code == 202

    def explained() -> dict[str, object] | None:
        answer = http.get(f"{address}/0").json()
        return answer if answer["state"] in ("completed", "failed") else None

    answer = wait_for(explained)
    assert answer["error"] is None
    told = answer["explanation"]
    (utterance,) = told["utterances"]
    assert utterance["words"] == ["I", "hate", "this", "terrible", "day!"]
    assert utterance["probability"] == pytest.approx(shown["confidence"], abs=0.01)
    assert told["sentences"]
    for figure in told["figures"]:
        picture = http.get(f"{address}/0/{figure}")
        assert min(Image.open(io.BytesIO(picture.content)).size) > 10
    assert http.get(f"{address}/0/..%2Fexplanation.json").status_code == 404
    client.delete(job.id)


def test_an_explanation_does_not_wait_for_the_jobs_and_can_be_stopped(
    service: RunningService, http: httpx.Client, small_face: Path, films: Path
) -> None:
    client = service.client
    job = client.wait(client.submit(small_face).id)
    sound = np.tile(speech_like(10.0, level=0.2), 180)
    recording = write_wav(films / "open/half an hour.wav", sound)
    long = client.submit_path(recording, transcribe=False, speakers="off")
    service.wait_for_state(long.id, "in_progress")
    address = f"/v1/jobs/{job.id}/explanations"

    assert http.post(address, json={"utterance": 0}).json()["state"] == "queued"
    wait_for(lambda: http.get(f"{address}/0").json()["state"] == "in_progress")
    stopped = http.post(f"{address}/0/cancel").json()
    assert (stopped["state"], stopped["explanation"]) == ("cancelled", None)
    asked = http.post(address, json={"utterance": 0}).json()
    assert (asked["state"], asked["before"], asked["progress"]) == ("queued", 0, None)
    wait_for(lambda: http.get(f"{address}/0").json()["state"] == "completed")
    assert http.post(f"{address}/0/cancel").json()["explanation"]["sentences"]  # it stays
    assert client.job(long.id).state == "in_progress"
    client.delete(long.id)
    client.delete(job.id)


def test_two_jobs_are_compared(job: Job, http: httpx.Client) -> None:
    found = http.get("/v1/compare", params={"a": job.id, "b": job.id}).json()
    assert found["n"]["a"] == found["n"]["b"] > 0
    assert all(item["difference"] == 0 for item in found["emotions"].values())
    assert http.get("/v1/compare", params={"a": job.id, "b": "0" * 32}).status_code == 404
    assert http.get("/v1/compare", params={"a": job.id, "b": "../x"}).status_code == 422


def test_a_live_session_comes_back_after_its_connection_was_lost(
    service: RunningService, http: httpx.Client, talking_clip: Spoken
) -> None:
    recording = [piece for _, piece in record(talking_clip.path, silence=1.5)]
    url = service.url.replace("http", "ws") + "/v1/stream"
    start = {
        "type": "start",
        "mime": "video/webm;codecs=vp8,opus",
        "options": {"speakers": "off", "transcribe": False},
    }

    async def first() -> tuple[str, list[dict[str, object]]]:
        async with websockets.connect(url, proxy=None, open_timeout=60) as socket:
            await socket.send(json.dumps(start))
            ready = json.loads(await asyncio.wait_for(socket.recv(), 120))
            for piece in recording:
                await socket.send(piece)
            told = []
            while not told or told[-1]["event"] != "final":
                told.append(json.loads(await asyncio.wait_for(socket.recv(), 60)))
            return ready["session"], told

    async def second(session: str, since: int) -> list[dict[str, object]]:
        async with websockets.connect(url, proxy=None) as socket:
            again = {**start, "session": session, "since": since}
            await socket.send(json.dumps(again))
            assert json.loads(await socket.recv()) == {"type": "ready", "session": session}
            for piece in recording:
                await socket.send(piece)
            await socket.send(json.dumps({"type": "stop"}))
            return [json.loads(message) async for message in socket]

    http.get("/live")  # the page lets a process load ahead, unless one does already
    time.sleep(1)
    ahead = {child.pid for child in service.children()}
    session, told = asyncio.run(asyncio.wait_for(first(), 400))
    assert {child.pid for child in service.children()} == ahead
    *more, last = asyncio.run(asyncio.wait_for(second(session, told[-1]["sequence"] - 1), 400))
    assert last == {"type": "end"}
    decisions = [message for message in more if message["type"] == "decision"]
    assert decisions[0] == told[-1]  # the one that it says it lacks
    numbers = [message["sequence"] for message in more]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    finals = [message for message in decisions if message["event"] == "final"]
    assert len(finals) >= 2
    assert finals[-1]["start"] > told[-1]["end"]  # its times went on
    assert finals[-1]["modalities"]["visual"]["present"]
    assert all(message["latency"] >= 0 for message in decisions)
    assert wait_for(
        lambda: (
            "avt_memocmt_live_sessions 0.0"
            in httpx.get(f"{service.url}/metrics", trust_env=False).text
        )
    )


def test_a_live_session_says_what_is_wrong(service: RunningService) -> None:
    url = service.url.replace("http", "ws") + "/v1/stream"

    async def say(message: object) -> tuple[dict[str, object], int]:
        async with websockets.connect(url, proxy=None) as socket:
            await socket.send(json.dumps(message))
            told = json.loads(await asyncio.wait_for(socket.recv(), 60))
            await asyncio.wait_for(socket.wait_closed(), 60)
            return told, socket.close_code or 0

    told, code = asyncio.run(say({"type": "start", "mime": "video/webm", "session": "x" * 32}))
    assert (told["type"], code) == ("warning", 1013)
    assert "start a new one" in str(told["text"])
    told, code = asyncio.run(say({"type": "begin"}))
    assert (told["type"], code) == ("warning", 1008)


def connections(process: psutil.Process) -> list[Any]:
    """Its sockets now; none where it has just ended, as a process for explanations does."""
    try:
        return process.net_connections()
    except psutil.NoSuchProcess:
        return []


def test_nothing_reached_beyond_this_machine(service: RunningService, job: Job) -> None:
    """Of all that the tests before had the service do."""
    running = {service.process.pid, *(child.pid for child in service.children())}
    networks = [child.pid for child in service.children() if child.memory_info().rss > 200e6]
    assert networks  # the worker
    assert {service.process.pid, *networks} <= service.guarded()
    assert len(running) >= 3
    assert service.attempts() == ""
    reached = [
        connection.raddr.ip
        for child in (*service.children(), psutil.Process(service.process.pid))
        for connection in connections(child)
        if connection.raddr and connection.family in (socket.AF_INET, socket.AF_INET6)
    ]
    assert set(reached) <= {"127.0.0.1", "::1"}


def test_the_guard_holds(tmp_path: Path, service: RunningService) -> None:
    guard = service.folder / "guard"
    (tmp_path / "sitecustomize.py").write_text((guard / "sitecustomize.py").read_text())
    script = "import socket; socket.create_connection(('192.0.2.1', 80), 1)"
    environment = {"PYTHONPATH": str(tmp_path), "SOCKET_GUARD": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, timeout=60
    )
    assert b"PermissionError" in ended.stderr
    assert "192.0.2.1" in (tmp_path / "attempts").read_text()


def test_deletion_leaves_nothing(
    service: RunningService, job: Job, client: Client, http: httpx.Client
) -> None:
    assert job.id.encode() in service.stored()
    client.delete(job.id)
    assert job.id.encode() not in service.stored()
    assert NAME.encode() not in service.stored()
    for path in ("", "/prediction", "/media", "/faces/F1", "/exports/json"):
        assert http.get(f"/v1/jobs/{job.id}{path}").status_code == 404
    with pytest.raises(AvtError, match="no such job"):
        client.job(job.id)
