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
    """Measure the time from the command to its answer, with the files in the disk's cache."""
    command = ["-m", "avt_memocmt", "predict", str(clip.path), "--no-transcribe", "--json"]
    command += ["--engine", loaded.setting.engine, "--checkpoint", loaded.source]
    first, *seconds = [_run(command, clip.path)[0] for _ in range(1 + STARTS)]
    what = "`avt-memocmt predict CLIP --no-transcribe --json`, from its start to its answer"
    note = f"median of {STARTS}; the first start, not counted, took {first:.1f} s"
    median = statistics.median(seconds)
    return Case("start-up", what, median, "s", START_UP, loaded.setting, note=note)


def memory_case(loaded: Loaded, clip: Clip, minutes: float) -> Case:
    """Measure the peak memory of a long film with the recogniser, and that of a single clip."""
    what = f"peak resident memory of a film of {minutes:g} min with recogniser, a new process"
    _, short = _predict(loaded, clip.path)
    if short is None:
        reason = "this system does not tell the peak memory of a process"
        return not_measured("memory", what, "MB", MEMORY, reason)
    with tempfile.TemporaryDirectory() as folder:
        film = repeat_film(clip, 60 * minutes, Path(folder) / "long.mkv")
        seconds, long = _predict(loaded, film)
    assert long is not None
    note = f"one clip of {clip.seconds:.1f} s: {short:.0f} MB"
    more = {"one clip, MB": short, "the film, s": seconds}
    return Case("memory", what, long, "MB", MEMORY, loaded.setting, note=note, more=more)


def _predict(loaded: Loaded, path: Path) -> tuple[float, float | None]:
    """Return the seconds until a new process had predicted, and its peak memory in MB.

    The memory is None where the system does not tell it.

    Raises:
        AvtError: the process failed.
    """
    arguments = [loaded.source, loaded.setting.engine, str(path)]
    seconds, answer = _run(["-c", _PREDICT, *arguments], path)
    return seconds, int(answer) / 1024 if answer else None


def _run(command: list[str], path: Path) -> tuple[float, str]:
    """Return the seconds until a new Python process wrote its first line, and that line.

    Raises:
        AvtError: the process failed.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        seconds = time.perf_counter() - began
        lines = process.communicate()[1].strip().splitlines()
    if process.returncode:
        reason = lines[-1] if lines else "no message"
        raise AvtError(f"a new process could not predict {path}: {reason}")
    return seconds, line
