"""The figures of a benchmark as JSON, as Markdown and as a chart."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from avt_memocmt.bench.case import Case
from avt_memocmt.bench.chart import draw_stages
from avt_memocmt.bench.stages import STAGES
from avt_memocmt.files import writable_folder, write_atomically
from avt_memocmt.pretrained import installed_version
from avt_memocmt.version import __version__
from avt_memocmt.wording import markdown

LIBRARIES = ("torch", "onnxruntime", "transformers", "ctranslate2", "opencv-python-headless", "av")
PAGE_FILE, CHART_FILE = "latency.md", "images/latency.svg"
_STAGES = "Stages, mean milliseconds of the warm runs; *beside*: meanwhile, in another thread"
BEGIN, END = "<!-- written by avt-memocmt bench -->", "<!-- end of what it wrote -->"


@dataclass(frozen=True)
class Report:
    """One run of the benchmark.

    Attributes:
        machine: what it ran on, by name.
        clips: names of the films, and where they came from.
        cases: in the order of the table.
    """

    machine: dict[str, str]
    clips: tuple[str, ...]
    cases: tuple[Case, ...]

    def to_json(self) -> dict[str, Any]:
        """What `bench --json` writes."""
        return {
            "version": __version__,
            "machine": self.machine,
            "clips": list(self.clips),
            "cases": [case.to_json() for case in self.cases],
        }

    def write_json(self, path: Path) -> None:
        """Write the figures.

        Raises:
            AvtError: the file cannot be written.
        """
        write_atomically(path, (json.dumps(self.to_json(), indent=1) + "\n").encode())

    def write_docs(self, folder: Path) -> None:
        """Write the tables into latency.md, between its marks where it is there, and the chart.

        Raises:
            AvtError: the folder cannot be written into.
        """
        page, chart = folder / PAGE_FILE, folder / CHART_FILE
        writable_folder(chart.parent)
        text = page.read_text(encoding="utf-8") if page.is_file() else ""
        before, _, rest = text.partition(BEGIN)
        after = rest.partition(END)[2] or "\n"
        write_atomically(page, f"{before}{BEGIN}\n{self.markdown()}{END}{after}".encode())
        timed = {case.name: case.timing for case in self.cases if case.timing is not None}
        if timed:
            write_atomically(chart, draw_stages(timed))

    def markdown(self) -> str:
        """The machine, the table of cases and the table of stages."""
        machine = "\n".join(f"- {name}: {value}" for name, value in self.machine.items())
        clips = ", ".join(self.clips)
        parts = [machine + f"\n- clips: {clips}", _case_table(self.cases), _notes(self.cases)]
        timed = [case for case in self.cases if case.timing is not None]
        if timed:
            parts.append(f"{_STAGES}:\n\n{_stage_table(timed)}")
        return "\n\n".join(part for part in parts if part) + "\n"


def describe_machine() -> dict[str, str]:
    """Processor, cores, threads, and versions of what computes."""
    versions = {name: installed_version(name) or "not installed" for name in LIBRARIES}
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
        "GPU": gpu,
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _case_table(cases: Sequence[Case]) -> str:
    head = ("case", "measured", "target", "aim", "", "cold", "p50", "p95", "runs", "computed by")
    return markdown(head, [_case_row(case) for case in cases])


def _case_row(case: Case) -> list[str]:
    goal, timing, setting = case.goal, case.timing, case.setting
    sign = "" if goal is None else ("≥ " if goal.at_least else "≤ ")
    verdict = (
        ""
        if goal is None or case.value is None
        else ("met" if goal.is_met(case.value) else "missed")
    )
    times = ["", "", "", ""]
    if timing is not None:
        seconds = (timing.cold, timing.percentile(50), timing.percentile(95))
        times = [*(f"{1000 * value:.0f} ms" for value in seconds), str(len(timing.warm))]
    return [
        f"{case.name}: {case.what}",
        "not measured" if case.value is None else _figure(case.value, case.unit),
        "" if goal is None else sign + _figure(goal.target, case.unit),
        "" if goal is None else sign + _figure(goal.aim, case.unit),
        verdict,
        *times,
        ""
        if setting is None
        else f"{setting.engine}, {setting.dtype}, {setting.device}, {setting.threads} threads",
    ]


def _figure(value: float, unit: str) -> str:
    return f"{value:.3g} {unit}" if value < 100 else f"{value:.0f} {unit}"


def _notes(cases: Sequence[Case]) -> str:
    lines = []
    for case in cases:
        more = [f"{name}: {value:.3g}" for name, value in case.more.items()]
        text = "; ".join(filter(None, [case.note, *more]))
        if text:
            lines.append(f"- {case.name}: {text}")
    return "\n".join(lines)


def _stage_table(cases: Sequence[Case]) -> str:
    timings = [case.timing for case in cases if case.timing is not None]
    sums = [1000 * sum(timing.stages.values()) for timing in timings]
    rows = [
        *_stage_rows("", [timing.stages for timing in timings]),
        ["sum", *(f"{total:.1f}" for total in sums)],
        *_stage_rows("beside: ", [timing.beside for timing in timings]),
    ]
    return markdown(("stage", *(case.name for case in cases)), rows)


def _stage_rows(prefix: str, cases: Sequence[dict[str, float]]) -> list[list[str]]:
    return [
        [prefix + stage, *(f"{1000 * c[stage]:.1f}" if stage in c else "" for c in cases)]
        for stage in STAGES
        if any(c.get(stage) for c in cases)
    ]
