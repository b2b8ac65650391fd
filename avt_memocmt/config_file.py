"""Reading, overriding and writing of settings files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from avt_memocmt.config import Config
from avt_memocmt.errors import AvtError
from avt_memocmt.files import write_atomically

PAPER_PRESET = Path(__file__).parent / "presets" / "paper.yaml"
EMBEDDED_PRESET = Path(__file__).parent / "presets" / "embedded.yaml"


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read and validate a config.yaml.

    Args:
        path: the file.
        overrides: "section.key=value" each, value in YAML; they replace what the file says.

    Raises:
        AvtError: the file is missing, is not YAML, or has an unknown key or a value out of range;
            the message names the key.
    """
    path = Path(path)
    raw = read_yaml(path, "the configuration")
    if not isinstance(raw, dict):
        raise AvtError(f"{path} holds no settings; start from the project's config.yaml.")
    for override in overrides:
        apply_override(raw, override)
    with named_problems(path):
        return Config.model_validate(raw)


def save_config(config: Config, path: str | Path) -> None:
    """Write a config.yaml, whole or not at all, that `load_config` reads back to an equal object.

    Raises:
        AvtError: it cannot be written.
    """
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
    write_atomically(Path(path), text.encode())


def read_yaml(path: Path, what: str) -> Any:
    """The content of a YAML file; `what` names it in the error, as "the configuration".

    Raises:
        AvtError: it cannot be read or is not YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AvtError(f"cannot read {what} {path}: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise AvtError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from error


def apply_override(raw: dict[str, Any], override: str) -> None:
    """Put one "section.key=value" into settings read from YAML.

    Raises:
        AvtError: it is not written like that, or its section is a single value.
    """
    name, equals, text = override.partition("=")
    *sections, key = name.strip().split(".")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise AvtError(f"{override!r}: the value is not valid YAML.") from error
    if not equals or not key:
        raise AvtError(f"{override!r} is no setting; write it as training.epochs=5.")
    for section in sections:
        raw = raw.setdefault(section, {})
        if not isinstance(raw, dict):
            raise AvtError(f"{override!r}: {section} is a single value, not a section.")
    raw[key] = value


@contextmanager
def named_problems(path: Path) -> Iterator[None]:
    """Turn a validation error into an `AvtError` of one line: the file, every wrong key, and why.

    Args:
        path: of the settings file that is validated inside the context.
    """
    try:
        yield
    except ValidationError as error:
        problems = []
        for item in error.errors():
            key = ".".join(map(str, item["loc"])) or "top level"
            said = "unknown key" if item["type"] == "extra_forbidden" else item["msg"]
            problems.append(f"{key}: {said[:1].lower()}{said[1:].removesuffix('.')}")
        raise AvtError(f"{path}: {'; '.join(problems)}.") from error
