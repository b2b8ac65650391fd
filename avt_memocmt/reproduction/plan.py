"""What `reproduce` runs: the rows of the table, read from a recipe."""

from __future__ import annotations

from copy import deepcopy
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from avt_memocmt.config import Config, Modality, Section
from avt_memocmt.config_file import apply_override, named_problems, read_yaml

MELD_RECIPE = Path(str(resources.files(__package__))) / "meld.yaml"


class Row(Section):
    """One row of the table."""

    name: str
    """Name in the table, unique."""
    seeds: Annotated[int, Field(ge=1)] = 3
    """Number of seeds: the runs have the seeds 0, 1 and so on."""
    set: tuple[str, ...] = ()
    """Changes of the recipe's configuration, each "section.key=value"."""
    of: str | None = None
    """Name of the row whose checkpoints are measured again; such a row trains nothing."""
    shuffle: Modality | None = None
    """Modality whose tokens are exchanged between turns before measuring."""
    noise: Modality | None = None
    """Modality of named values to which noise is added before measuring."""
    deviation: Annotated[float, Field(gt=0)] = 1.0
    """Standard deviation of that noise, as a multiple of each value's own."""

    @model_validator(mode="after")
    def _either_trains_or_measures(self) -> Row:
        if (self.of is None) != (self.shuffle is None and self.noise is None):
            raise ValueError(f"row {self.name}: `of` and `shuffle` or `noise` belong together")
        return self


class Plan(Section):
    """A recipe."""

    config: dict[str, Any]
    """The configuration that all rows share."""
    text: Row
    """How the text encoder is fine-tuned, once per seed; also measured as a row of the table. On
    stored words, only the decision on them is trained.
    """
    rows: tuple[Row, ...]
    """The other rows, on the tokens of the text encoder of the same seed."""

    @model_validator(mode="after")
    def _rows_fit_together(self) -> Plan:
        names = [row.name for row in (self.text, *self.rows)]
        if len(set(names)) < len(names):
            raise ValueError("two rows have the same name")
        for row in self.rows:
            source = next((r for r in self.rows if r.name == (row.of or row.name)), None)
            if source is None:
                raise ValueError(f"row {row.name} is of {row.of}, which is no row")
            if row.seeds > min(source.seeds, self.text.seeds):
                raise ValueError(f"row {row.name} has more seeds than what it builds on")
        return self

    def settings(self, row: Row, seed: int, *, stored_words: bool = False) -> Config:
        """The configuration of one run; no text encoder is trained where the words are stored."""
        raw = deepcopy(self.config)
        frozen = ["training.text_encoder=frozen"] if stored_words else []
        for override in (*row.set, *frozen, f"training.seed={seed}"):
            apply_override(raw, override)
        return Config.model_validate(raw)


def load_plan(path: Path = MELD_RECIPE) -> Plan:
    """Read a recipe and check the configuration of every row.

    Raises:
        AvtError: the file is missing or a row or a setting in it is wrong.
    """
    raw = read_yaml(path, "the recipe")
    with named_problems(path):
        plan = Plan.model_validate(raw)
        for row in (plan.text, *plan.rows):
            plan.settings(row, 0)
    return plan
