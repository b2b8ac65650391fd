"""Cases that need a process of their own: start-up to the first prediction, and peak memory."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from avt_memocmt.bench.case import Case, Goal, not_measured
from avt_memocmt.bench.clips import Clip, repeat_film
from avt_memocmt.bench.embedded import Loaded
from avt_memocmt.errors import AvtError

START_UP = Goal(3.0, 1.5)
MEMORY = Goal(1500, 800)
STARTS = 3
"""Timed starts, after one that fills the disk's cache."""

# The kernel's own mark of a process's memory: `getrusage` also counts the process that started it.
_PREDICT = """
import sys
from avt_memocmt import EmotionRecognizer
source, engine, path = sys.argv[1:]
EmotionRecognizer.from_pretrained(source, engine).predict(path)
try:
    status = open("/proc/self/status").read()
    print(status.split("VmHWM:")[1].split()[0])
except (OSError, IndexError):
    print("")
"""


def start_up_case(loaded: Loaded, clip: Clip) -> Case:
    """From the command to its first answer, the files in the disk's cache."""
    command = ["-m", "avt_memocmt", "predict", str(clip.path), "--no-transcribe", "--json"]
    command += ["--engine", loaded.setting.engine, "--checkpoint", loaded.source]
    seconds = [_run(command, clip.path)[0] for _ in range(1 + STARTS)]
    return Case(
        "start-up",
        "`avt-memocmt predict CLIP --no-transcribe --json`, from its start to its answer",
        statistics.median(seconds[1:]),
        "s",
        START_UP,
        loaded.setting,
        note=f"median of {STARTS}; the first start, not counted, took {seconds[0]:.1f} s",
    )


def memory_case(loaded: Loaded, clip: Clip, minutes: float) -> Case:
    """Peak memory of a long film with the recogniser, beside that of a single clip."""
    what = f"peak resident memory of a film of {minutes:g} min with recogniser, a new process"
    _, short = _predict(loaded, clip.path)
    if short is None:
        reason = "this system does not tell the peak memory of a process"
        return not_measured("memory", what, "MB", MEMORY, reason)
    with tempfile.TemporaryDirectory() as folder:
        film = repeat_film(clip, 60 * minutes, Path(folder) / "long.mkv")
        seconds, long = _predict(loaded, film)
    assert long is not None
    return Case(
        "memory",
        what,
        long,
        "MB",
        MEMORY,
        loaded.setting,
        note=f"one clip of {clip.seconds:.1f} s: {short:.0f} MB",
        more={"one clip, MB": short, "the film, s": seconds},
    )


def _predict(loaded: Loaded, path: Path) -> tuple[float, float | None]:
    """Seconds until a new process had predicted with the recogniser, and its peak memory in MB.

    The memory is None where the system does not tell it.

    Raises:
        AvtError: the process failed.
    """
    arguments = [loaded.source, loaded.setting.engine, str(path)]
    seconds, answer = _run(["-c", _PREDICT, *arguments], path)
    return seconds, int(answer) / 1024 if answer else None


def _run(command: list[str], path: Path) -> tuple[float, str]:
    """Seconds until a new Python process wrote its first line, and that line.

    Raises:
        AvtError: the process failed.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *command],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        assert process.stdout is not None
        with process, process.stdout as output:
            line = output.readline().strip()
            seconds = time.perf_counter() - began
            output.read()
        errors.seek(0)
        lines = errors.read().strip().splitlines()
    if process.returncode:
        reason = lines[-1] if lines else "no message"
        raise AvtError(f"a new process could not predict {path}: {reason}")
    return seconds, line
