"""What `reproduce` runs: the rows of the table, read from a recipe."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from avt_memocmt.config import Config, Modality
from avt_memocmt.config_file import apply_override
from avt_memocmt.errors import AvtError

MELD_RECIPE = Path(str(resources.files(__package__))) / "meld.yaml"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Row(_Part):
    """One row of the table.

    Attributes:
        name: in the table, unique.
        seeds: how many seeds, counted from 0.
        set: "section.key=value" each, on top of the recipe's configuration.
        of: name of the row whose checkpoints are measured again; such a row trains nothing.
        shuffle: modality whose tokens are exchanged between turns before measuring.
        noise: modality of named values to which noise is added before measuring.
        deviation: of that noise, in standard deviations of each value.
    """

    name: str
    seeds: Annotated[int, Field(ge=1)] = 3
    set: tuple[str, ...] = ()
    of: str | None = None
    shuffle: Modality | None = None
    noise: Modality | None = None
    deviation: Annotated[float, Field(gt=0)] = 1.0

    @model_validator(mode="after")
    def _either_trains_or_measures(self) -> Row:
        if (self.of is None) != (self.shuffle is None and self.noise is None):
            raise ValueError(f"row {self.name}: `of` and `shuffle` or `noise` belong together")
        return self


class Plan(_Part):
    """A recipe.

    Attributes:
        config: the configuration that all rows share.
        text: what fine-tunes the text encoder, once per seed; measured as a row of its own.
        rows: on the tokens of the encoder of the same seed.
    """

    config: dict[str, Any]
    text: Row
    rows: tuple[Row, ...]

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

    def settings(self, row: Row, seed: int) -> Config:
        """The configuration of one run."""
        raw = yaml.safe_load(yaml.safe_dump(self.config))
        for override in (*row.set, f"training.seed={seed}"):
            apply_override(raw, override)
        return Config.model_validate(raw)


def load_plan(path: Path = MELD_RECIPE) -> Plan:
    """Read a recipe and check every run's configuration.

    Raises:
        AvtError: the file is missing or a row or a setting in it is wrong.
    """
    try:
        plan = Plan.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        for row in (plan.text, *plan.rows):
            plan.settings(row, 0)
    except OSError as error:
        raise AvtError(f"cannot read the recipe {path}: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise AvtError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "top level"
        raise AvtError(f"{path}: {where}: {first['msg']}.") from error
    return plan
