"""Packages that only an extra of this package installs."""

from __future__ import annotations

import importlib.util

from avt_memocmt.errors import AvtError


def require_extra(extra: str, packages: tuple[str, ...], need: str) -> None:
    """Check that the packages of an extra are installed, without importing them.

    Args:
        extra: its name in pyproject.toml.
        packages: names under which they are imported.
        need: beginning of the message, such as "the export needs".

    Raises:
        AvtError: one is missing; the message says how to install it.
    """
    for name in packages:
        if importlib.util.find_spec(name) is None:
            raise AvtError(
                f"{need} the package {name}; install its extra with: "
                f"pip install 'avt-memocmt[{extra}]'"
            )
