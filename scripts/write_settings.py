"""Write config.yaml and docs/settings.md from the classes of the settings and the presets.

Run it after a change of avt_memocmt/config.py or avt_memocmt/presets/:

    python scripts/write_settings.py [FOLDER]        # the project's own folder unless given
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo

from avt_memocmt.config import Config, Section
from avt_memocmt.config_file import EMBEDDED_PRESET, PAPER_PRESET, load_config

WRITTEN_BY_TRAINING = (("labels",), ("features",))
"""Settings that describe a trained network; only the config.yaml of a checkpoint holds them."""
WIDTH = 100
YAML_HEAD = """\
# Settings of the paper's system (the preset `paper`). Every key is checked when the file is read:
# an unknown key or a value out of range is an error that names it. scripts/write_settings.py writes
# this file from the meanings and defaults in avt_memocmt/config.py.
"""
DOCS_HEAD = """\
# Settings

Every setting of a `config.yaml`. `scripts/write_settings.py` writes this page from
`avt_memocmt/config.py`. A setting that a file leaves out has the value in the column `paper`; only
the preset and the encoders must be given. The column `embedded` shows what that preset sets
differently, and `avt_memocmt/presets/embedded.yaml` why. The research commands replace any setting
with, for instance, `--set training.epochs=5`.

"""
WORDS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
TABLE_HEAD = "| setting | paper | embedded | meaning |\n|---|---|---|---|\n"


@dataclass(frozen=True)
class Entry:
    """One setting or section of a configuration.

    Attributes:
        path: its keys, from the outermost.
        value: as YAML on one line; None of a section.
        meaning: description, range and choices.
    """

    path: tuple[str, ...]
    value: str | None
    meaning: str


def entries(section: Section, path: tuple[str, ...] = ()) -> Iterator[Entry]:
    """Every setting of a section, depth first; a section stands before its settings."""
    plain = section.model_dump(mode="json")
    for name, field in type(section).model_fields.items():
        inner = getattr(section, name)
        if isinstance(inner, Section):
            yield Entry((*path, name), None, field.description or inner.__doc__ or "")
            yield from entries(inner, (*path, name))
        else:
            value = yaml.safe_dump(plain[name], default_flow_style=True, width=1000)
            yield Entry((*path, name), value.splitlines()[0], meaning(field))


def meaning(field: FieldInfo) -> str:
    """The description of a field, then the values it takes."""
    text = " ".join((field.description or "").split())
    if get_origin(field.annotation) is Literal:
        return f"{text} One of: {', '.join(get_args(field.annotation))}."
    limits = {}
    for limit in field.metadata:
        limits |= {name: getattr(limit, name) for name in WORDS if hasattr(limit, name)}
    if limits.keys() == {"ge", "le"}:
        return f"{text} Range: {limits['ge']} to {limits['le']}."
    words = ", ".join(f"{WORDS[name]} {limit}" for name, limit in limits.items())
    return f"{text} {words[:1].upper()}{words[1:]}." if words else text


def config_yaml(config: Config) -> str:
    """A settings file with the meaning of every key above it."""
    lines = []
    for entry in entries(config):
        *sections, key = entry.path
        if entry.path in WRITTEN_BY_TRAINING:
            continue
        indent = "  " * len(sections)
        if entry.value is None and not sections:
            lines.append("")
        comment = textwrap.wrap(entry.meaning, WIDTH - len(indent) - 2)
        lines += [f"{indent}# {line}" for line in comment]
        lines.append(f"{indent}{key}:" + (f" {entry.value}" if entry.value is not None else ""))
    return YAML_HEAD + "\n".join(lines) + "\n"


def settings_page(paper: Config, embedded: Config) -> str:
    """The settings of both presets as Markdown, a table a section."""
    other = {entry.path: entry.value for entry in entries(embedded)}
    top, sections = TABLE_HEAD, ""
    for entry in entries(paper):
        different = other[entry.path] if other[entry.path] != entry.value else None
        cells = (".".join(entry.path), entry.value, different)
        row = " | ".join(f"`{cell}`" if cell is not None else "" for cell in cells)
        if len(entry.path) > 1:
            sections += f"| {row} | {entry.meaning} |\n"
        elif entry.value is None:
            sections += f"\n## {entry.path[0]}\n\n{entry.meaning}\n\n{TABLE_HEAD}"
        else:
            top += f"| {row} | {entry.meaning} |\n"
    return DOCS_HEAD + top + sections


if __name__ == "__main__":
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1]
    paper, embedded = load_config(PAPER_PRESET), load_config(EMBEDDED_PRESET)
    (root / "docs").mkdir(exist_ok=True)
    (root / "config.yaml").write_text(config_yaml(paper), encoding="utf-8")
    (root / "docs" / "settings.md").write_text(settings_page(paper, embedded), encoding="utf-8")
