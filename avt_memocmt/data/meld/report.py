"""The fault report of a MELD folder."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from avt_memocmt.data.meld.faults import Fault, FaultKind
from avt_memocmt.data.meld.index import MeldIndex


def summarise(index: MeldIndex) -> tuple[list[str], dict[str, list[int]]]:
    """The splits, and per line of the summary ("utterances", "missing", ...) a count for each."""
    splits = list(dict.fromkeys(record.split for record in index.records))
    groups = [[record for record in index.records if record.split == name] for name in splits]
    counts = {
        "utterances": [len(group) for group in groups],
        "dialogues": [len({record.dialogue_id for record in group}) for group in groups],
        "usable clips": [sum(record.path is not None for record in group) for group in groups],
    }
    for kind, faults in groupby(index.faults, lambda fault: fault.kind):
        of_kind = [fault.split for fault in faults]
        counts[kind.value] = [of_kind.count(name) for name in splits]
    return splits, counts


def fault_report(index: MeldIndex, folder: Path) -> str:
    """Markdown: counts first, then each kind of fault with every clip by name.

    Args:
        index: what was read.
        folder: the MELD folder, for the title.
    """
    splits, counts = summarise(index)
    lines = [f"# Faults of {folder}", "", *_table(splits, counts), ""]
    if index.dropped:
        lines += [f"Dropped from train because they leak: {index.dropped} utterances.", ""]
    for kind, faults in groupby(index.faults, lambda fault: fault.kind):
        lines += _section(kind, list(faults))
    return "\n".join(lines)


def _table(splits: list[str], counts: dict[str, list[int]]) -> Iterator[str]:
    meanings = {kind.value: kind.meaning for kind in FaultKind}
    yield f"| | {' | '.join(splits)} | meaning |"
    yield f"|---|{'---:|' * len(splits)}---|"
    for name, numbers in counts.items():
        yield f"| {name} | {' | '.join(map(str, numbers))} | {meanings.get(name, '')} |"


def _section(kind: FaultKind, faults: list[Fault]) -> Iterator[str]:
    yield f"## {kind} ({len(faults)})"
    yield ""
    yield f"{kind.meaning[0].upper()}{kind.meaning[1:]}."
    yield ""
    for fault in faults:
        yield f"- {fault.where}{': ' if fault.detail else ''}{fault.detail}"
    yield ""
