"""`avt-memocmt bench`: how fast everything is on this machine, stage by stage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from avt_memocmt.commands.console import Checkpoint, EngineOption, JsonFile, log, print_lines
from avt_memocmt.errors import AvtError


def bench(
    clips: Annotated[
        list[Path] | None,
        typer.Argument(help="Films with a face and speech, of some seconds; none: one is made."),
    ] = None,
    json_file: JsonFile = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for latency.md and images/latency.svg.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="A case; may be given several times. All otherwise.")
    ] = None,
    runs: Annotated[int, typer.Option(min=1, help="Warm runs of each clip.")] = 3,
    minutes: Annotated[
        float, typer.Option(min=0.1, help="Length of the film whose peak memory is measured.")
    ] = 5.0,
    engine: EngineOption = "torch",
    checkpoint: Checkpoint = "embedded",
) -> None:
    """Measure latency, throughput, start-up and memory, beside a naive pipeline."""
    from avt_memocmt.bench.run import CASES, run_benchmark
    from avt_memocmt.files import writable_folder

    unknown = [name for name in only or () if name not in CASES]
    if unknown:
        raise AvtError(f"{unknown[0]!r} is no case; give one of: {', '.join(CASES)}.")
    for folder in filter(None, (out, json_file.parent if json_file is not None else None)):
        writable_folder(folder)
    report = run_benchmark(
        clips or [],
        checkpoint,
        engine,
        only=only or None,
        runs=runs,
        minutes=minutes,
        progress=lambda name: log.print(f"measuring: {name}"),
    )
    if json_file is not None:
        report.write_json(json_file)
    if out is not None:
        report.write_docs(out)
    print_lines(report.markdown().rstrip("\n"))
