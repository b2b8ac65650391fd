"""`avt-memocmt doctor`: which packages and weights are found, and what the machine offers."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from avt_memocmt.commands.console import output


def doctor() -> None:
    """Say what is installed, which weights resolve, and what the processor offers."""
    from avt_memocmt.engines.doctor import gather_facts

    table = Table(show_header=False, box=None)
    for fact in gather_facts():
        mark = {True: Text("ok", "green"), False: Text("missing", "red"), None: Text()}[fact.ok]
        table.add_row(mark, fact.name, fact.value)
    output.print(table)
