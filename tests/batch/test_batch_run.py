"""A batch ends with a result for every file that has one, whatever happens to its processes."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import scripted_predictor
from scripted_predictor import ScriptedPredictor

from avt_memocmt.batch import inputs, run
from avt_memocmt.batch.inputs import Inputs
from avt_memocmt.batch.ledger import LEDGER_FILE
from avt_memocmt.batch.run import Batch, Report, Resumed


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    folder.mkdir()
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def write(folder: Path, **files: str) -> None:
    for name, told in files.items():
        (folder / f"{name}.wav").write_text(told)


def batch(media: Path, out: Path, setting: int = 1, **options: Any) -> Batch:
    watch = bool(options.get("watch"))
    return Batch(Inputs([str(media)], watch), ScriptedPredictor(out, setting), 2, **options)


def tried(out: Path) -> list[str]:
    """The files that were begun, in order."""
    log = out / "log.txt"
    return log.read_text().split() if log.is_file() else []


def table(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def is_gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def test_bad_files_and_dying_processes_stop_nothing(media: Path, out: Path) -> None:
    write(media, a="ok", bad="fail", hostile="die", short="die once", z="ok")
    work = batch(media, out)
    work.run()
    assert sorted(work.rows) == ["a.wav", "short.wav", "z.wav"]
    assert {n: tried(out).count(f"{n}.wav") for n in ("a", "bad", "hostile", "short", "z")} == {
        "a": 1, "bad": 1, "hostile": 2, "short": 2, "z": 1,
    }  # fmt: skip
    assert set(tried(out)[-2:]) == {"hostile.wav", "short.wav"}  # tried again behind all others
    errors = table(out / "errors.csv")
    assert errors["bad.wav"]["reason"] == "it says so."
    assert "ended twice (SIGKILL)" in errors["hostile.wav"]["reason"]
    assert len(errors) == 2
    row = table(out / "summary.csv")["short.wav"]
    assert (row["utterances"], row["duration"], row["warnings"]) == ("2", "3.5", "no_face")
    assert float(row["joy"]) == pytest.approx(2 / 3, abs=1e-4)
    assert float(row["fear"]) == pytest.approx(1 / 3, abs=1e-4)
    assert not list(out.glob(".*.part"))


def test_a_resumed_run_does_what_is_missing_or_changed(media: Path, out: Path) -> None:
    write(media, a="ok", b="ok", c="fail", d="ok")
    batch(media, out).run()
    (out / "log.txt").unlink()
    write(media, b="ok, but changed", c="ok now")
    (out / "d.wav.json").write_text('{"utterances": [{')  # damaged since
    work = batch(media, out, resume=True)
    work.run()
    assert sorted(tried(out)) == ["b.wav", "c.wav", "d.wav"]
    assert len(work.rows) == 4
    assert table(out / "errors.csv") == {}
    assert len(table(out / "summary.csv")) == 4


def test_results_of_other_options_are_named_and_made_again(media: Path, out: Path) -> None:
    write(media, a="ok", b="ok")
    batch(media, out).run()
    told: list[Resumed] = []
    batch(media, out, 2, resume=True, report=Report(resumed=told.append)).run()
    batch(media, out, 2, resume=True, report=Report(resumed=told.append)).run()
    assert told == [Resumed(0, 2, ["setting"]), Resumed(2, 0, [])]
    assert len(tried(out)) == 4
    batch(media, out, 2).run()
    assert len(tried(out)) == 6  # without resume everything is done again


def test_a_killed_batch_goes_on_and_leaves_no_process(media: Path, out: Path) -> None:
    write(media, a="ok", b="ok", y="wait", z="wait")
    command = [sys.executable, scripted_predictor.__file__, str(media), str(out)]
    process = subprocess.Popen(command, start_new_session=True)
    deadline = time.monotonic() + 60
    while len(tried(out)) < 4 or (out / LEDGER_FILE).read_text().count("\n") < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    listed = subprocess.run(
        ["ps", "-o", "pid=", "-g", str(process.pid)], capture_output=True, text=True
    )
    workers = [int(pid) for pid in listed.stdout.split()]
    assert len(workers) >= 3  # the batch and two at work
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    while not all(is_gone(worker) for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with (out / LEDGER_FILE).open("a") as ledger:
        ledger.write('{"name": "y.wav", "media"')  # killed in the middle of a line
    (out / "log.txt").unlink()
    write(media, y="ok", z="ok")
    assert subprocess.run([*command, "--resume"], timeout=300).returncode == 0
    assert sorted(tried(out)) == ["y.wav", "z.wav"]
    assert len(table(out / "summary.csv")) == 4


def test_ctrl_c_ends_what_runs_and_keeps_what_is_done(media: Path, out: Path) -> None:
    def interrupt(prediction: dict[str, Any]) -> None:
        deadline = time.monotonic() + 60
        while "z.wav" not in tried(out):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        raise KeyboardInterrupt

    write(media, a="ok", z="wait")
    work = batch(media, out, report=Report(done=interrupt))
    with pytest.raises(KeyboardInterrupt):
        work.run()
    assert list(table(out / "summary.csv")) == ["a.wav"]
    assert not list(out.glob(".*.part"))
    told: list[Resumed] = []
    write(media, z="ok")
    batch(media, out, resume=True, report=Report(resumed=told.append)).run()
    assert told == [Resumed(1, 0, [])]


def test_a_watch_takes_new_files_when_they_have_stopped_growing(
    media: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "SETTLED", 0.1)
    monkeypatch.setattr(run, "SEARCH_EVERY", 0.05)
    done: list[str] = []

    def come_and_go(prediction: dict[str, Any]) -> None:
        done.append(prediction["media"])
        if done == ["a.wav"]:
            (media / "sub").mkdir()
            write(media / "sub", b="fail")
        if len(done) == 3:
            raise KeyboardInterrupt

    def repair(name: str, why: str) -> None:
        done.append(f"{name} failed")
        write(media, a="changed since")

    write(media, a="ok")
    report = Report(done=come_and_go, failed=repair)
    with pytest.raises(KeyboardInterrupt):
        batch(media, out, watch=True, report=report).run()
    assert done == ["a.wav", os.path.join("sub", "b.wav") + " failed", "a.wav"]
    assert len(tried(out)) == 3


def test_only_a_file_that_stays_as_it_is_has_settled(media: Path) -> None:
    settled = inputs.Settled()
    found = Inputs([str(media)], True)
    write(media, a="begun")
    assert settled.of(found.find()[0], 0.0) == []
    write(media, a="begun and grown")
    assert settled.of(found.find()[0], inputs.SETTLED) == []
    assert settled.of(found.find()[0], 2 * inputs.SETTLED - 0.1) == []
    assert [item.name for item in settled.of(found.find()[0], 2 * inputs.SETTLED)] == ["a.wav"]


def test_results_have_names_of_their_own_inside_the_folder(tmp_path: Path) -> None:
    one, two = tmp_path / "x" / "one", tmp_path / "x" / "two"
    for folder in (one / "deep", two):
        folder.mkdir(parents=True)
        write(folder, same="ok")
    long = one / f"{'é' * 120}.wav"
    long.write_text("ok")
    (one / "seen.mp4.overlay.mp4").touch()
    (two / ".hidden.wav").touch()

    def names(*arguments: Path) -> list[str]:
        found, missing = Inputs([str(argument) for argument in arguments]).find()
        assert not missing
        return [item.name for item in found]

    assert os.path.join("deep", "same.wav") in names(one)
    assert names(two / ".." / "two") == ["same.wav"]
    both = names(one, two)
    assert len(set(both)) == 3
    assert os.path.join("one", "deep", "same.wav") in both
    assert all(".." not in Path(name).parts and not os.path.isabs(name) for name in both)
    assert max(len(os.fsencode(Path(name).name)) for name in both) <= 200
    found, missing = Inputs([str(tmp_path / "nothing")]).find()
    assert not found
    assert "does not exist" in missing[0][1]
