"""What was put in survives: the service killed, a worker killed, the queue full."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from media_factory import speech_like, write_wav
from running_service import RunningService, wait_for

from avt_memocmt.inference.results import to_json

PLACES = 4
"""In the queue."""
SHORT = {"transcribe": False, "speakers": "off"}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningService]:
    running = RunningService(tmp_path, "--max-queue", str(PLACES))
    yield running
    running.stop()


def test_kill_9_loses_nothing(service: RunningService, tmp_path: Path) -> None:
    sound = write_wav(tmp_path / "hum.wav", speech_like(1.0))
    long = write_wav(tmp_path / "long.wav", np.tile(speech_like(10.0, level=0.2), 60))

    # The queue is bounded, and exactly what was accepted is there.
    first = service.client.submit(sound, **SHORT)
    service.wait_for_state(first.id, "completed")
    running = service.client.submit(long, **SHORT)
    service.wait_for_state(running.id, "in_progress")

    def upload(number: int) -> httpx.Response:
        files = {"file": (f"{number}.wav", sound.read_bytes())}
        data = {"options": '{"transcribe": false, "speakers": "off"}'}
        return httpx.post(
            f"{service.url}/v1/jobs", files=files, data=data, timeout=60, trust_env=False
        )

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(upload, range(100)))
    accepted = [answer.json()["id"] for answer in answers if answer.status_code == 202]
    refused = [answer for answer in answers if answer.status_code != 202]
    assert {answer.status_code for answer in refused} == {429}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert len(accepted) == PLACES
    assert {job.id for job in service.client.jobs("queued")} == set(accepted)

    # The service is killed while it works: what was finished stays, the rest is done again.
    found = to_json(service.client.prediction(first.id))
    service.kill()
    service.start()
    assert to_json(service.client.prediction(first.id)) == found
    assert service.client.job(first.id).state == "completed"

    # A file that ends its worker is tried once more, then given up; the others are done.
    for death in range(2):
        wait_for(lambda: (service.client.job(running.id).progress or 0) > 0)
        service.kill_worker()
        if death == 0:
            service.wait_for_state(running.id, "queued", "in_progress")
            wait_for(lambda: not service.client.job(running.id).progress)
    failed = service.wait_for_state(running.id, "failed")
    assert "twice" in (failed.error or "")
    for job_id in accepted:
        assert service.wait_for_state(job_id, "completed", "failed").state == "completed"

    # One that runs is deleted: it is stopped, and nothing of it is left.
    again = service.client.submit(long, **SHORT)
    service.wait_for_state(again.id, "in_progress")
    service.client.delete(again.id)
    assert again.id.encode() not in service.stored()
