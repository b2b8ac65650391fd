"""A Slurm of one machine: `sbatch` runs the script of a job at once, `scancel` ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SBATCH = """#!/bin/sh
for script; do :; done
cp "$script" "$SLURM_FOLDER/$$.job"  # as Slurm does: the script may go at once
setsid sh "$SLURM_FOLDER/$$.job" > "$SLURM_FOLDER/$$.log" 2>&1 &
echo "$!" >> "$SLURM_FOLDER/started"
echo "Submitted batch job $!"
"""
SCANCEL = """#!/bin/sh
for job; do kill -TERM -- "-$job"; done
"""


@dataclass(frozen=True)
class SlurmCluster:
    """A running cluster: its scheduler file, and the folder with the scripts of its jobs."""

    scheduler: str
    folder: Path

    def jobs(self) -> list[int]:
        """Process groups of the jobs that were submitted, in order."""
        return [int(line) for line in (self.folder / "started").read_text().split()]


@contextmanager
def slurm_cluster(folder: Path, jobs: int) -> Iterator[SlurmCluster]:
    """Run scripts/slurm_cluster.py; its workers find the package and the tests as this process."""
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    file = folder / "scheduler.json"
    command = [sys.executable, str(ROOT / "scripts" / "slurm_cluster.py"), "--jobs", str(jobs)]
    command += ["--memory", "4GB", "--walltime", "00:10:00", "--partition", "short"]
    command += ["--interface", "lo", "--scheduler-file", str(file)]
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(folder), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "SLURM_FOLDER": str(folder),
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
    }
    with (folder / "cluster.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    cluster = SlurmCluster(str(file), folder)
    try:
        deadline = time.monotonic() + 300
        while not file.is_file():
            assert process.poll() is None, (folder / "cluster.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield cluster
    finally:
        process.terminate()
        try:
            process.wait(60)
        finally:
            process.kill()
            for job in cluster.jobs():
                with suppress(ProcessLookupError):
                    os.killpg(job, signal.SIGKILL)
