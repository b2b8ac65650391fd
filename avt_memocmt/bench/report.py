"""The figures of a benchmark as JSON, as Markdown and as a chart."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from avt_memocmt.bench.case import Case
from avt_memocmt.bench.chart import draw_stages
from avt_memocmt.bench.stages import STAGES, Timing
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
        machine: processor, GPU, system and versions of what it ran on.
        clips: names and lengths of the films.
        cases: in the order of the table.
    """

    machine: dict[str, str]
    clips: tuple[str, ...]
    cases: tuple[Case, ...]

    @property
    def timings(self) -> dict[str, Timing]:
        """What was measured by repeated calls, by the name of the case."""
        return {case.name: case.timing for case in self.cases if case.timing is not None}

    def write_json(self, path: Path) -> None:
        """Write the figures.

        Raises:
            AvtError: the file cannot be written.
        """
        figures = {
            "version": __version__,
            "machine": self.machine,
            "clips": list(self.clips),
            "cases": [case.to_json() for case in self.cases],
        }
        write_atomically(path, (json.dumps(figures, indent=1) + "\n").encode())

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
        if self.timings:
            write_atomically(chart, draw_stages(self.timings))

    def markdown(self) -> str:
        """Return the machine, the table of cases and the table of stages."""
        machine = [f"- {name}: {value}" for name, value in self.machine.items()]
        parts = [
            "\n".join([*machine, f"- clips: {', '.join(self.clips)}"]),
            _case_table(self.cases),
            _notes(self.cases),
            f"{_STAGES}:\n\n{_stage_table(self.timings)}" if self.timings else "",
        ]
        return "\n\n".join(filter(None, parts)) + "\n"


def describe_machine() -> dict[str, str]:
    """Name the processor, its cores and threads, and the versions of what computes."""
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
    wanted, times, computed_by = ["", ""], [""] * 4, ""
    if goal is not None:
        sign = "≥" if goal.at_least else "≤"
        wanted = [f"{sign} {_figure(value, case.unit)}" for value in (goal.target, goal.aim)]
    if timing is not None:
        seconds = (timing.cold, timing.percentile(50), timing.percentile(95))
        times = [*(f"{1000 * value:.0f} ms" for value in seconds), str(len(timing.warm))]
    if setting is not None:
        computed_by = ", ".join([setting.engine, setting.dtype, setting.device])
        computed_by += f", {setting.threads} threads"
    measured = "not measured" if case.value is None else _figure(case.value, case.unit)
    verdict = {None: "", True: "met", False: "missed"}[case.is_met]
    return [f"{case.name}: {case.what}", measured, *wanted, verdict, *times, computed_by]


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


def _stage_table(timings: Mapping[str, Timing]) -> str:
    own = [timing.stages for timing in timings.values()]
    beside = [timing.beside for timing in timings.values()]
    sums = ["sum", *(f"{1000 * sum(stages.values()):.1f}" for stages in own)]
    rows = [*_stage_rows("", own), sums, *_stage_rows("beside: ", beside)]
    return markdown(("stage", *timings), rows)


def _stage_rows(prefix: str, cases: Sequence[dict[str, float]]) -> list[list[str]]:
    return [
        [prefix + stage, *(f"{1000 * c[stage]:.1f}" if stage in c else "" for c in cases)]
        for stage in STAGES
        if any(c.get(stage) for c in cases)
    ]
