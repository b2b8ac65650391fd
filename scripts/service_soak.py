"""Many jobs for a service: 100 uploads at once, then one after another for as long as is wanted.

    python scripts/service_soak.py CLIP [--uploads 100] [--workers 2] [--jobs 500]

Starts a service of its own in a temporary folder, puts `uploads` jobs in at once, waits for all of
them, then puts in and deletes `jobs` more, one at a time, as a day would. Prints the time, what was
lost, and the resident memory of the service and its workers before, between and after. At last it
compares a job with `predict` on the same clip.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import psutil

from avt_memocmt.client import Client, Job, ServiceError

_STEPS = 10
"""Figures of memory in the simulated day."""


def main() -> None:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--uploads", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=500)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "avt_memocmt", "serve", "--port", "0", "--data", folder]
        command += ["--workers", str(asked.workers), "--max-queue", str(asked.uploads)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as service:
            try:
                assert service.stderr is not None
                line = service.stderr.readline()
                address = next(word for word in line.split() if word.startswith("http"))
                soak(Client(address.rstrip("/"), timeout=600), service.pid, asked)
            finally:
                service.terminate()


def soak(client: Client, pid: int, asked: argparse.Namespace) -> None:
    """Put the jobs in, and print the figures."""
    client.wait(client.submit(asked.clip).id)
    print(f"at rest: {memory(pid)}")
    began = time.perf_counter()
    with ThreadPoolExecutor(asked.uploads) as pool:
        jobs = list(pool.map(lambda _: put_in(client, asked.clip), range(asked.uploads)))
    print(f"{asked.uploads} uploads accepted after {time.perf_counter() - began:.1f} s")
    for job in jobs:
        client.wait(job.id, every=1)
    seconds = time.perf_counter() - began
    found = sum(job.state == "completed" for job in client.jobs()) - 1
    print(f"{found} of {asked.uploads} completed after {seconds:.1f} s: {memory(pid)}")
    times = []
    for number in range(asked.jobs):
        job = client.wait(client.submit(asked.clip).id, every=0.2)  # seldom: asking costs, too
        times.append(seconds_of(job))
        client.delete(job.id)
        if (number + 1) % max(1, asked.jobs // _STEPS) == 0:
            print(f"after {number + 1} more, one by one: {memory(pid)}")
    if times:
        print(f"a job: median {statistics.median(times):.3f} s from its upload to its end")
        print(f"predict: median {alone(asked.clip, min(20, len(times))):.3f} s")


def put_in(client: Client, clip: Path) -> Job:
    """Upload, again where the queue is full."""
    while True:
        try:
            return client.submit(clip)
        except ServiceError as error:
            if error.status != 429:
                raise
            time.sleep(error.retry_after or 1)


def seconds_of(job: Job) -> float:
    """From the moment a job was put in until it was finished."""
    assert job.finished is not None
    end, start = (datetime.fromisoformat(moment) for moment in (job.finished, job.created))
    return (end - start).total_seconds()


def alone(clip: Path, runs: int) -> float:
    """Median seconds of `predict` in this process, warm."""
    from avt_memocmt import EmotionRecognizer

    recognizer = EmotionRecognizer.from_pretrained()
    recognizer.predict(clip)
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        recognizer.predict(clip)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def memory(pid: int) -> str:
    """Resident memory of the service and its children, in MB."""
    service = psutil.Process(pid)
    rest = sorted((child.memory_info().rss for child in service.children(True)), reverse=True)
    children = ", ".join(f"{size / 1e6:.0f}" for size in rest)
    return f"service {service.memory_info().rss / 1e6:.0f} MB, its processes {children} MB"


if __name__ == "__main__":
    main()
