"""What the paper's system costs at full size: extraction and training, and the whole MELD run.

    python scripts/paper_cost.py FILM [--steps 200] [--clips 20] [--work FOLDER]

Encoders have random weights, clips are cut from the film, see `paper_corpus`. First `prepare` and
`train.py` run end to end on the clips. Then are measured, each in a process of its own: the
extraction of the clips, and some steps of training with the settings of config.yaml on as many
dialogues as MELD's train split has, made of the extracted clips; in each way, on each device of
this machine. A stopped run resumes: what the work folder holds is not measured again. Needs the
extra `train`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from paper_corpus import DEV, TRAIN, save_encoders, write_corpus
from paper_measure import ROOT, WARM_UP, WAYS, ExtractionCost, TrainingCost, Way, settings_of

from avt_memocmt.errors import AvtError
from avt_memocmt.wording import counted, markdown

COMPILERS = ("c++", "g++", "clang++", "cl")


def set_up(film: Path, clips: int, work: Path) -> float:
    """Write encoders and clips, then run `prepare` and `train.py` on them, unless it is done.

    Returns:
        The seconds of `train.py`.
    """
    done = work / "end-to-end.json"
    if not done.is_file():
        _tell("writing encoders and clips")
        save_encoders(work / "encoders")
        write_corpus(film, clips, work / "MELD")
        _tell("running prepare and train.py")
        meld, stored = str(work / "MELD"), work / "features"
        command = [sys.executable, "-m", "avt_memocmt", "prepare", "--meld", meld]
        run([*command, "--out", str(work / "prepared")])
        command = [sys.executable, "train.py", "--encoders", str(work / "encoders")]
        command += ["--set", f"paths.meld={meld}", "--set", f"paths.features={stored}"]
        command += ["--set", "training.epochs=1", "--out", str(work / "trained")]
        done.write_text(json.dumps(run(command)))
    return float(json.loads(done.read_text()))


def run(command: Sequence[str], environment: dict[str, str] | None = None) -> float:
    """Run a program and return its seconds.

    Raises:
        AvtError: it failed.
    """
    began = time.perf_counter()
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise AvtError(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return time.perf_counter() - began


def measure(what: str, work: Path, steps: int, device: str) -> dict[str, float]:
    """The figures of one thing, from a new process unless the work folder has them."""
    result = work / f"{device}-{what.replace(' ', '-')}-{steps}.json"
    if not result.is_file():
        _tell(f"measuring {what} on {device}")
        way = WAYS.get(what, Way())
        # `accelerate launch` starts its processes by torchrun too, but on CPUs only through MPI.
        several = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node"]
        launch = [*several, str(way.processes)] if way.processes > 1 else []
        script = str(ROOT / "scripts" / "paper_measure.py")
        with tempfile.TemporaryDirectory(dir=work) as empty:
            command = [sys.executable, *launch, script, what, str(work), str(steps), empty]
            run(command, environment_of(way, device, work))
            os.replace(Path(empty) / "cost.json", result)
    figures: dict[str, float] = json.loads(result.read_text())
    return figures


def environment_of(way: Way, device: str, work: Path) -> dict[str, str]:
    """Environment variables by which Accelerate is told what its command line would tell it."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "OMP_NUM_THREADS": str(max(1, torch.get_num_threads() // way.processes)),
        "ACCELERATE_USE_CPU": str(device == "cpu").lower(),
        **({"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}),
        "ACCELERATE_DYNAMO_BACKEND": "inductor" if way.is_compiled else "no",
        # Hardly two batches have the same shape.
        "ACCELERATE_DYNAMO_USE_DYNAMIC": "true",
        "TORCHINDUCTOR_CACHE_DIR": str(work / "compiled"),
    }


def obstacle(way: Way, device: str) -> str | None:
    """Why a way cannot be measured here; None where it can."""
    if way.is_compiled and not any(map(shutil.which, COMPILERS)):
        return "there is no C++ compiler here"
    if device == "cuda" and way.processes > torch.cuda.device_count():
        return "there is one GPU here"
    return None


def report(work: Path, steps: int) -> Iterator[str]:
    """Measure what is missing; yields the parts of the report."""
    epochs = settings_of(work).training.epochs
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    extraction = {
        device: ExtractionCost(**measure("extraction", work, steps, device))  # type: ignore[arg-type]
        for device in devices
    }
    yield extraction_table(extraction)
    rows = []
    for device in devices:
        for name, way in WAYS.items():
            reason = obstacle(way, device)
            if reason is None:
                cost = TrainingCost(**measure(name, work, steps, device))  # type: ignore[arg-type]
                cells = training_cells(cost, epochs, extraction[device].hours())
            else:
                cells = (f"not measured: {reason}", *[""] * 6)
            rows.append((f"{name}, {device}", *cells))
    yield markdown(
        (
            *("training", "steps/s", "utterances/s", "peak MB of a process"),
            *(f"first {WARM_UP} steps, s", "an epoch of MELD, min", f"{epochs} epochs, h"),
            "with extraction, h",
        ),
        rows,
    )
    if len(devices) == 1:
        yield "No GPU was measured: PyTorch finds none here."


def extraction_table(costs: Mapping[str, ExtractionCost]) -> str:
    """What the clips took by device, and what all of MELD's train and dev splits will."""
    rows = [
        (
            f"{counted(cost.workers, 'worker')}, {device}",
            f"{cost.seconds_a_clip:.2f}",
            f"{cost.memory:.0f}",
            f"{cost.bytes_a_clip / 1e3:.0f}",
            f"{cost.hours():.1f}",
            f"{(TRAIN + DEV) * cost.bytes_a_clip / 1e9:.1f}",
        )
        for device, cost in costs.items()
    ]
    head = ("extraction", "a clip, s", "peak MB of a worker", "stored of a clip, kB")
    return markdown((*head, "MELD, h", "MELD, GB"), rows)


def training_cells(cost: TrainingCost, epochs: int, extraction: float) -> tuple[str, ...]:
    """What the steps took, and what a whole training on MELD will, after hours of extraction."""
    return (
        f"{1 / cost.step:.2f}",
        f"{cost.utterances:.1f}",
        f"{cost.memory:.0f}",
        f"{cost.warm_up:.1f}",
        f"{60 * cost.hours(1):.1f}",
        f"{cost.hours(epochs):.1f}",
        f"{cost.hours(epochs) + extraction:.1f}",
    )


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def main() -> None:
    """Print the report as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("film", type=Path)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--work", type=Path, default=Path("out/paper-cost"))
    options = parser.parse_args()
    clips, steps = options.clips, options.steps
    work = options.work.resolve() / f"clips-{clips}"
    try:
        seconds = set_up(options.film.resolve(), clips, work)
        threads = torch.get_num_threads()
        print(f"torch {torch.__version__}, {threads} threads, {steps} steps a row.\n")
        print(f"`train.py` on {clips} clips, one epoch, loading included: {seconds:.0f} s.")
        for part in report(work, steps):
            print(f"\n{part}", flush=True)
    except AvtError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
