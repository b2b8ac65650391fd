"""A Dask cluster on Slurm: a scheduler in this process, workers in jobs.

    python scripts/slurm_cluster.py --jobs 20 --processes 4 --memory 12GB --walltime 04:00:00 \
        --scheduler-file /shared/scheduler.json [--partition P] [--account A] [--interface ib0]

Every job runs some worker processes of one thread. Run it where jobs can reach it, most often on
the login node, and leave it running; commands take --scheduler /shared/scheduler.json. Jobs that
end, for example at their walltime, are submitted again. Ctrl-C ends all.
"""

from __future__ import annotations

import argparse
import signal
import threading
from contextlib import suppress
from pathlib import Path

import dask
from dask_jobqueue.slurm import SLURMCluster

from avt_memocmt.cluster.scheduler import QUIET


def start(options: argparse.Namespace) -> SLURMCluster:
    """Start the scheduler and submit the jobs."""
    dask.config.set(QUIET)
    environment = {"OMP_NUM_THREADS": 1, **{_variable(name): QUIET[name] for name in QUIET}}
    folder = options.scheduler_file.absolute().parent
    cluster = SLURMCluster(
        cores=options.processes,
        processes=options.processes,
        memory=options.memory,
        walltime=options.walltime,
        queue=options.partition,
        account=options.account,
        interface=options.interface,
        nanny=options.processes > 1,  # starts a process again; a job of one is submitted again
        log_directory=str(folder / "slurm-logs"),
        job_script_prologue=[f"export {name}={value}" for name, value in environment.items()],
        scheduler_options={
            "scheduler_file": str(options.scheduler_file),
            "dashboard": False,
            "dashboard_address": ":0",
        },
    )
    cluster.adapt(minimum_jobs=options.jobs, maximum_jobs=options.jobs)
    return cluster


def _variable(setting: str) -> str:
    """The environment variable that Dask reads for a setting."""
    return f"DASK_{setting.replace('.', '__').replace('-', '_')}".upper()


def main() -> None:
    """Run until interrupted or terminated."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--processes", type=int, default=1, help="worker processes of a job")
    parser.add_argument("--memory", required=True, help="of a job, as 12GB; 3 GB a process or more")
    parser.add_argument("--walltime", default="04:00:00")
    parser.add_argument("--scheduler-file", type=Path, required=True)
    parser.add_argument("--partition")
    parser.add_argument("--account")
    parser.add_argument("--interface", help="network between the nodes, as ib0")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), start(parser.parse_args()) as cluster:
        print(cluster.job_script(), flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
