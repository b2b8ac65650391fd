"""The result of one case of the benchmark, and the figure it must reach."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from avt_memocmt.bench.stages import Timing


@dataclass(frozen=True)
class Goal:
    """The figures that a case must and should reach.

    Attributes:
        target: the figure that must be reached.
        aim: the figure that we hope for.
        at_least: True where larger is better.
    """

    target: float
    aim: float
    at_least: bool = False

    def is_met(self, value: float) -> bool:
        """Return whether a measured value reaches the target."""
        return value >= self.target if self.at_least else value <= self.target


@dataclass(frozen=True)
class Setting:
    """Engine, number type, device and threads that computed a case."""

    threads: int
    dtype: str = "float32"
    engine: str = "torch"
    device: str = "cpu"


@dataclass(frozen=True)
class Case:
    """One line of the table.

    Attributes:
        name: short name of the case.
        what: what was measured, in words.
        value: the figure that counts; None where it could not be measured, and `note` says why.
        unit: of the value and the goal: "ms", "s", "x", "x real time" or "MB".
        goal: None where none was set.
        setting: None where nothing was measured.
        timing: of repeated calls, where that is what was measured.
        note: what a reader must know.
        more: further figures by name.
    """

    name: str
    what: str
    value: float | None
    unit: str
    goal: Goal | None = None
    setting: Setting | None = None
    timing: Timing | None = None
    note: str = ""
    more: dict[str, float] = field(default_factory=dict)

    @property
    def is_met(self) -> bool | None:
        """Whether the target is reached; None without a goal or a value."""
        return None if self.goal is None or self.value is None else self.goal.is_met(self.value)

    def to_json(self) -> dict[str, Any]:
        """Return one object of the array `cases`; times are seconds, unless a unit is given."""
        goal, timing = self.goal, self.timing
        return {
            "case": self.name,
            "what": self.what,
            "value": self.value,
            "unit": self.unit,
            "target": goal and goal.target,
            "aim": goal and goal.aim,
            "met": self.is_met,
            "setting": self.setting and vars(self.setting),
            "cold": timing and timing.cold,
            "p50": timing and timing.percentile(50),
            "p95": timing and timing.percentile(95),
            "runs": timing and len(timing.warm),
            "stages": timing and timing.stages,
            "beside": timing and timing.beside,
            "note": self.note,
            "more": self.more,
        }


def not_measured(name: str, what: str, unit: str, goal: Goal | None, reason: str) -> Case:
    """Return a case that this machine or installation cannot run."""
    return Case(name, what, None, unit, goal, note=f"not measured: {reason}")
