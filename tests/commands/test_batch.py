"""A batch is never lost: odd names and outputs, a full disk, a reader that leaves, interrupts."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from command_line import run
from full_disk import full_disk
from media_factory import speech_like, write_wav
from time_limit import killed_after

from avt_memocmt.cli import main
from avt_memocmt.commands.console import log_failure, prepare_output, print_json, print_lines
from avt_memocmt.commands.interrupts import exit_status, interrupted_by_signals
from avt_memocmt.commands.line_output import LineOutput
from avt_memocmt.commands.prediction_output import PredictionOutput
from avt_memocmt.data.index import UtteranceKey, UtteranceRecord, write_index
from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.errors import AvtError
from avt_memocmt.extraction.failures import Failure, write_failures
from avt_memocmt.inference.results import MediaPrediction, ModalityUse, UtterancePrediction

CHANCES = (0.4, *[0.1] * (len(EMOTIONS) - 1))
HOSTILE = "a\x1b]0;title\x07\x9b31m\nb\u202egnp.wav"


def result(name: str) -> MediaPrediction:
    uses = {m: ModalityUse(m == "audio", float(m == "audio"), None) for m in ("audio", "text")}
    turn = UtterancePrediction(0.0, 1.0, None, HOSTILE, "given", CHANCES, uses, ("no_face",))
    return MediaPrediction(name, 1.0, "embedded", "0.1.0", (turn,))


def names(folder: Path) -> list[str]:
    text = (folder / "predictions.json").read_text(encoding="utf-8")
    return [item["media"] for item in json.loads(text)]


@contextmanager
def windows_output() -> Iterator[io.BytesIO]:
    """Yield what is written to stdout and stderr, in the encoding of a Windows console."""
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, "cp1252", write_through=True)
    with redirect_stdout(stream), redirect_stderr(stream):
        yield written
    stream.detach()


@contextmanager
def broken_output(kind: str) -> Iterator[None]:
    """Make stdout one that nobody reads any more ("closed"), or whose disk is full ("full")."""
    reading, writing = os.pipe()
    os.close(reading)
    full = open("/dev/full", "w") if kind == "full" else None  # noqa: SIM115 - closed below
    with os.fdopen(writing, "w") as closed, redirect_stdout(full or closed):
        yield
    if full is not None:
        full.close()


def test_odd_names_and_an_output_that_is_not_unicode_lose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    media = tmp_path / "media"
    media.mkdir()
    for name in (b"caf\xe9.wav", "日本.wav".encode(), b"esc\x1b[31m\nape.wav"):
        write_wav(Path(os.fsdecode(bytes(media) + b"/" + name)), speech_like(0.5))
    (media / "broken\x1b[32m.wav").write_bytes(b"no sound")
    out = tmp_path / "out"
    command = ["predict", str(media), "--no-transcribe", "--out", str(out), "--json"]
    monkeypatch.setattr("sys.argv", ["avt-memocmt", *command])
    with windows_output() as written, pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 1
    ends = ["caf\\xe9.wav", "esc\x1b[31m\nape.wav", "日本.wav"]
    assert names(out) == [f"{media}/{end}" for end in ends]
    assert (out / "report.html").is_file()
    shown = written.getvalue().decode("cp1252")
    assert "\x1b" not in shown
    assert "broken\\x1b[32m.wav is not media" in shown
    lines = [json.loads(line) for line in shown.splitlines() if line.startswith("{")]
    assert [line["media"] for line in lines] == names(out)


def test_nothing_of_others_controls_the_terminal(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    PredictionOutput(None, as_json=False).take(result(HOSTILE))
    PredictionOutput(None, as_json=True).take(result(HOSTILE))
    log_failure(HOSTILE, HOSTILE)
    print_lines(HOSTILE)
    print_json(HOSTILE)
    captured = capsys.readouterr()
    for text in (captured.out, captured.err):
        assert not set(text) & set("\x1b\x07\x9b\u202e")
    assert captured.err.count("\n") == 1


def test_results_wait_for_room_on_the_disk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = PredictionOutput(tmp_path, as_json=True)
    with full_disk(2500):
        for number in range(5):
            output.take(result(f"{number}.wav"))
            assert names(tmp_path) == [f"{n}.wav" for n in range(min(number + 1, 2))]
        output.finish([])
    assert len(capsys.readouterr().out.splitlines()) == 5  # the rest went on
    assert "predictions.json: File too large. It lacks the last 3 results." in output.problems[0]
    assert "report.html: File too large" in output.problems[1]
    assert names(tmp_path) == ["0.wav", "1.wav"]


def test_results_that_waited_are_written_when_there_is_room(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = PredictionOutput(tmp_path, as_json=True)
    with full_disk(2500):
        for number in range(4):
            output.take(result(f"{number}.wav"))
    output.take(result("4.wav"))
    output.finish([])
    assert output.problems == []
    assert names(tmp_path) == [f"{number}.wav" for number in range(5)]


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("kind", ["full", "closed"])
def test_without_a_reader_the_folder_gets_all_results(
    kind: str, tmp_path: Path, as_json: bool
) -> None:
    output = PredictionOutput(tmp_path, as_json)
    with broken_output(kind):
        for number in range(3):
            output.take(result(f"{number}.wav"))
        output.finish([])
    assert names(tmp_path) == ["0.wav", "1.wav", "2.wav"]
    assert len(output.problems) == (1 if kind == "full" else 0)


@pytest.mark.parametrize("kind", ["full", "closed"])
def test_without_a_reader_and_a_folder_the_batch_ends(kind: str) -> None:
    expected = AvtError if kind == "full" else BrokenPipeError
    with broken_output(kind), pytest.raises(expected):
        PredictionOutput(None, as_json=True).take(result("a.wav"))


def test_ctrl_c_keeps_what_was_predicted(tmp_path: Path) -> None:
    sound = write_wav(tmp_path / "talk.wav", speech_like(1.0))
    out = tmp_path / "out"
    command = ["-m", "avt_memocmt", "predict", *[str(sound)] * 500, "--no-transcribe", "--json"]
    with subprocess.Popen(
        [sys.executable, *command, "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background ignores Ctrl-C, and so would the command.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout is not None
        with killed_after(process):
            process.stdout.readline()
        process.send_signal(signal.SIGINT)
        stderr = process.communicate(timeout=120)[1]
    assert process.returncode == 130
    count = len(names(out))
    assert 1 <= count < 500
    assert f"interrupted after {count} of 500 inputs" in stderr
    assert "Traceback" not in stderr
    assert (out / "report.html").is_file()


def test_a_process_that_is_asked_to_end_does_so_in_order() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt) as stop, interrupted_by_signals():
        signal.raise_signal(signal.SIGTERM)
    assert exit_status(stop.value) == 143
    assert exit_status(KeyboardInterrupt()) == 130
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_stream_goes_on_on_stdout_when_its_file_is_full(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "lines.jsonl"
    with full_disk(100), LineOutput(path) as lines:
        for number in range(20):
            lines.write({"number": number})
    kept = [json.loads(line) for line in path.read_text().splitlines()]
    assert kept == [{"number": number} for number in range(len(kept))]
    assert 0 < len(kept) < 20
    assert len(capsys.readouterr().out.splitlines()) == 20
    assert lines.failed


def test_a_stream_goes_on_in_its_file_when_nobody_reads(tmp_path: Path) -> None:
    with broken_output("closed"), LineOutput(tmp_path / "lines.jsonl") as lines:
        for number in range(3):
            lines.write(number)
    assert (tmp_path / "lines.jsonl").read_text() == "0\n1\n2\n"
    assert not lines.failed


def test_figures_of_an_evaluation_are_printed_though_their_file_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "clips.csv").write_text("path,text,emotion\n,I hate this.,anger\n")
    target = str(tmp_path / "figures.json")
    with full_disk(100):
        command = ["evaluate-manifest", str(tmp_path / "clips.csv"), "--json", target]
        status, out, err = run(command, monkeypatch, capsys)
    assert status == 1
    assert "weighted_f1" in out
    assert "figures.json: File too large" in err


def test_lists_and_indexes_of_odd_names(tmp_path: Path) -> None:
    odd = "m\udce9ld/a.mp4"
    write_failures(tmp_path, [Failure(UtteranceKey("train", 0, 0), odd, "it is broken")], [])
    assert "ld/a.mp4,it is broken" in (tmp_path / "failed.csv").read_text(encoding="utf-8")
    record = UtteranceRecord("train", 0, 0, "Joey", "I hate this.", "anger", path=odd)
    with pytest.raises(AvtError, match=r"m\\xe9ld/a.mp4 is not UTF-8"):
        write_index([record], tmp_path / "index.parquet")


def test_output_that_is_not_unicode_is_escaped() -> None:
    with windows_output() as written:
        prepare_output()
        print_lines("日本")
        print_json("日本 é")
    assert written.getvalue() == b'\\u65e5\\u672c\n"\\u65e5\\u672c \\u00e9"\n'
