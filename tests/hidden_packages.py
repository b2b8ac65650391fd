"""Hides installed packages, as in an environment into which fewer extras were installed."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import Distribution, DistributionFinder, distributions
from importlib.metadata import packages_distributions as distributions_by_module
from pathlib import Path
from types import ModuleType

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]


def requirements(*extras: str) -> list[str]:
    """What the package itself asks for, with some of its extras."""
    optional = PROJECT["optional-dependencies"]
    return [*PROJECT["dependencies"], *(one for extra in extras for one in optional[extra])]


class VisiblePackages:
    """Takes the place of Python's own finder, and finds only what some extras bring."""

    def __init__(self) -> None:
        self._owners = distributions_by_module()
        self._requires = {
            canonicalize_name(one.name): one.requires or [] for one in distributions()
        }
        self._visible = set(self._requires)
        sys.meta_path[sys.meta_path.index(PathFinder)] = self

    def show(self, *extras: str) -> None:
        """Show what the package and these of its extras bring, and hide all else."""
        self._visible = self._closure(requirements(*extras)) | {"avt-memocmt"}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `MetaPathFinder.find_spec`."""
        owners = {canonicalize_name(one) for one in self._owners.get(name.partition(".")[0], [])}
        is_hidden = owners and not owners & self._visible
        return None if is_hidden else PathFinder.find_spec(name, path, target)

    def find_distributions(
        self,
        context: DistributionFinder.Context = DistributionFinder.Context(),  # noqa: B008
    ) -> Iterator[Distribution]:
        """See `DistributionFinder.find_distributions`."""
        for found in PathFinder.find_distributions(context):
            if canonicalize_name(found.name) in self._visible:
                yield found

    def _closure(self, asked: Iterable[str]) -> set[str]:
        """The distributions that pip would install, of those that are here."""
        seen: set[tuple[str, str]] = set()
        waiting = [(Requirement(one), "") for one in asked]
        while waiting:
            one, of_extra = waiting.pop()
            if one.marker is not None and not one.marker.evaluate({"extra": of_extra}):
                continue
            name = canonicalize_name(one.name)
            for extra in {"", *one.extras} - {extra for other, extra in seen if other == name}:
                seen.add((name, extra))
                waiting += [(Requirement(need), extra) for need in self._requires.get(name, [])]
        return {name for name, _ in seen}
