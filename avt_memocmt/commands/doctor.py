"""`avt-memocmt doctor`: which packages and weights are found, and what the machine offers."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table


def doctor() -> None:
    """Say what is installed, which weights resolve, and what the processor offers."""
    from avt_memocmt.engines.doctor import gather_facts

    table = Table(show_header=False, box=None)
    for fact in gather_facts():
        mark = {True: "[green]ok[/]", False: "[red]missing[/]", None: ""}[fact.ok]
        table.add_row(mark, fact.name, escape(fact.value))
    Console(highlight=False).print(table)
