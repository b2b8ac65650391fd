"""Pages from the templates beside this file: they run no script and load nothing from outside."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from avt_memocmt.emotions import COLOURS, EMOTIONS, UNCERTAIN
from avt_memocmt.files import write_atomically
from avt_memocmt.wording import (
    LIMITS,
    LIMITS_TITLE,
    MODALITY_NAMES,
    WARNINGS,
    clock,
    percent,
    signed,
)

_UNWRITABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters other than tab and newline, and surrogates, which stand for the undecodable
bytes of file names."""


def write_page(path: Path, template: str, content: Mapping[str, Any]) -> None:
    """Write one HTML page; it appears whole or not at all.

    Args:
        path: of the page.
        template: name of the template.
        content: what the template shows, by name; text in it is escaped.

    Raises:
        AvtError: the folder is missing or cannot be written.
    """
    write_atomically(path, render(template, content).encode())


def render(template: str, content: Mapping[str, Any]) -> str:
    """Fill in a template; what no page may hold becomes the replacement character U+FFFD."""
    page = _templates().get_template(template).render(content)
    return _UNWRITABLE.sub("\ufffd", page)


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("avt_memocmt.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "clock": clock,
        "data_uri": _data_uri,
        "percent": percent,
        "signed": signed,
        "warning": _warning,
    }
    environment.globals |= {
        "COLOURS": COLOURS,
        "EMOTIONS": EMOTIONS,
        "LIMITS": LIMITS,
        "LIMITS_TITLE": LIMITS_TITLE,
        "MODALITY_NAMES": MODALITY_NAMES,
        "UNCERTAIN": UNCERTAIN,
    }
    return environment


def _data_uri(data: bytes, kind: str) -> str:
    """A file inside the page: its bytes and MIME type as a URI."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _warning(name: str) -> str:
    """What a warning means."""
    return WARNINGS.get(name, f"{name} (this report has no explanation of it).")
