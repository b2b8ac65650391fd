"""The settings of a research command: from a file or a preset, encoder folders, overrides."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Annotated

import typer

from avt_memocmt.config import Config
from avt_memocmt.config_file import EMBEDDED_PRESET, load_config
from avt_memocmt.errors import AvtError

ConfigFile = Annotated[
    Path, typer.Option("--config", help="The settings; the paper's are in config.yaml.")
]
Preset = Annotated[
    str | None, typer.Option(help="embedded: encoders that come with the packages, no hub.")
]
Encoders = Annotated[
    Path | None,
    typer.Option(help="Folder with audio/, visual/ and text/ written by save_pretrained."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", help="One setting, as training.epochs=5; may be repeated."),
]

DEFAULT_CONFIG = Path("config.yaml")


def require_training_tools() -> None:
    """Check that the extra `train` is installed.

    Raises:
        AvtError: it is not.
    """
    for module in ("accelerate", "tensorboard"):
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise AvtError(
                f"training needs {module}; install the extra with: pip install 'avt-memocmt[train]'"
            ) from error


def resolve_config(
    config: Path = DEFAULT_CONFIG,
    preset: str | None = None,
    encoders: Path | None = None,
    overrides: list[str] | None = None,
) -> Config:
    """The settings of a command.

    Args:
        config: the settings file; not read with `preset="embedded"`.
        preset: "embedded", "paper" (what `config` says) or None (the same).
        encoders: folder with audio/, visual/ and text/, which replace the configured encoders.
        overrides: "section.key=value" each; they win over everything else.

    Raises:
        AvtError: the file, the preset, an encoder folder or an override is wrong.
    """
    if preset not in (None, "paper", "embedded"):
        raise AvtError(f"unknown preset {preset!r}; the presets are paper and embedded.")
    changes = list(overrides or ())
    if encoders is not None:
        changes = [*_encoder_overrides(encoders), *changes]
    if preset == "embedded":
        return load_config(EMBEDDED_PRESET, changes)
    if not config.is_file():
        raise AvtError(
            f"{config} is missing; run the command where the project's config.yaml lies, name it "
            "with --config, or use --preset embedded."
        )
    return load_config(config, changes)


def _encoder_overrides(folder: Path) -> list[str]:
    found = []
    for modality in ("audio", "visual", "text"):
        encoder = (folder / modality).resolve()
        if not (encoder / "config.json").is_file():
            raise AvtError(
                f"{folder} lacks {modality}/config.json; --encoders needs the folders audio, "
                "visual and text, each written by save_pretrained."
            )
        found += [
            f"{modality}.encoder.name={json.dumps(str(encoder))}",
            f"{modality}.encoder.revision=null",
        ]
    return [*found, "text.fine_tuned=false"]
