"""Hides installed packages, as in an environment into which fewer extras were installed."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]


def requirements(*extras: str) -> list[str]:
    """What the package itself asks for, with some of its extras."""
    optional = PROJECT["optional-dependencies"]
    return [*PROJECT["dependencies"], *(one for extra in extras for one in optional[extra])]


def closure(asked: Iterable[str]) -> set[str]:
    """The distributions that pip would install for these requirements, of those that are here."""
    found: set[str] = set()
    waiting = [(Requirement(one), "") for one in asked]
    while waiting:
        one, extra = waiting.pop()
        if one.marker is not None and not one.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(one.name)
        extras = sorted(one.extras) or [""]
        new = [extra for extra in extras if f"{name}[{extra}]" not in found]
        found.update((name, *(f"{name}[{extra}]" for extra in new)))
        try:
            needed = [Requirement(text) for text in requires(one.name) or ()]
        except PackageNotFoundError:
            needed = []  # for another system
        waiting += [(need, extra) for extra in new for need in needed]
    return found


class Hide:
    """A finder that finds no module of a package outside a set of distributions."""

    def __init__(self) -> None:
        self.owners = packages_distributions()
        self.visible: set[str] = set()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: object = None
    ) -> ModuleSpec | None:
        """Refuse what is hidden; leave the rest to the finders behind."""
        owners = self.owners.get(name.partition(".")[0], [])
        names = {canonicalize_name(owner) for owner in owners} - {"avt-memocmt"}
        if names and not names & self.visible:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None

    def install(self, *extras: str) -> None:
        """Show what these extras bring, and hide all else."""
        self.visible = closure(requirements(*extras)) | {"pip", "setuptools", "packaging"}
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)
