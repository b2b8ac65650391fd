"""What can go wrong between a command and a cluster is one sentence each."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from command_line import run

from avt_memocmt.cluster import pool, scheduler
from avt_memocmt.cluster.pool import connected
from avt_memocmt.cluster.scheduler import connect, scheduler_address
from avt_memocmt.errors import AvtError

if TYPE_CHECKING:
    from distributed import LocalCluster


@pytest.fixture
def empty() -> Iterator[LocalCluster]:
    """A scheduler without workers, in threads of this process."""
    distributed = pytest.importorskip("distributed", reason="the extra cluster is not installed")
    with distributed.LocalCluster(
        n_workers=0, processes=False, protocol="tcp", host="127.0.0.1", dashboard_address=":0"
    ) as cluster:
        yield cluster


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "cannot be read (No such file or directory)"),
        ("no json", "is not what dask scheduler --scheduler-file writes"),
        ('{"id": "x"}', "is not what dask scheduler --scheduler-file writes"),
        ("[1]", "is not what dask scheduler --scheduler-file writes"),
    ],
)
def test_a_wrong_scheduler_file_is_named(tmp_path: Path, text: str | None, why: str) -> None:
    path = tmp_path / "scheduler.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(AvtError) as error:
        scheduler_address(str(path))
    assert str(path) in str(error.value)
    assert why in str(error.value)


def test_tls_without_certificates_is_one_sentence() -> None:
    pytest.importorskip("distributed", reason="the extra cluster is not installed")
    with pytest.raises(AvtError, match="names no certificates"):
        connect("tls://127.0.0.1:8786")


def test_a_scheduler_is_named_by_its_address_or_its_file(tmp_path: Path) -> None:
    path = tmp_path / "scheduler.json"
    path.write_text('{"address": "tls://10.0.0.1:8786", "workers": {}}')
    assert scheduler_address(str(path)) == "tls://10.0.0.1:8786"
    assert scheduler_address("tcp://10.0.0.1:8786") == "tcp://10.0.0.1:8786"


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:{}", "carrier-pigeon://127.0.0.1:{}"])
def test_a_scheduler_that_does_not_answer_is_one_sentence(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed", reason="the extra cluster is not installed")
    monkeypatch.setattr(scheduler, "ANSWER_WITHIN", 0.5)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        unused = address.format(free.getsockname()[1])
        with pytest.raises(AvtError, match=f"no scheduler answers at {unused}"):
            connected(unused).__enter__()


def submit_and_lose(scheduler: LocalCluster, caplog: pytest.LogCaptureFixture) -> None:
    """Send a task to a scheduler without workers, and end the scheduler once that was said."""
    address = scheduler.scheduler_address
    with connected(address) as cluster:
        task = cluster.submit(os.getcwd)
        deadline = time.monotonic() + 30
        while f"no worker is there; start some with: dask worker {address}" not in caplog.text:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert not task.done()
        scheduler.close()
        task.result(60)


def test_it_is_said_that_there_is_no_worker_and_when_the_scheduler_is_lost(
    empty: LocalCluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pool, "LOOK_EVERY", 0.1)
    caplog.set_level(logging.INFO, "avt_memocmt")
    with pytest.raises(AvtError, match="the connection to the scheduler was lost"):
        submit_and_lose(empty, caplog)


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (["extract", ".", "--out", "store"], "--workers"),
        (["predict", ".", "--out", "out"], "--jobs"),
        (["robustness", "--data", "."], "--workers"),
        (["reproduce", "--index", "index.parquet", "--features", "store"], "--workers"),
    ],
)
def test_processes_here_and_a_cluster_exclude_one_another(
    command: list[str],
    option: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [*command, option, "2", "--scheduler", "tcp://127.0.0.1:1"]
    status, _, said = run(given, monkeypatch, capsys)
    assert status == 1
    assert f"{option} counts processes of this machine" in said
    assert list(tmp_path.iterdir()) == []
