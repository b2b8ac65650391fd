"""A corpus as an index: its utterances with their media, and everything that is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from avt_memocmt.data.faults import Fault, FaultKind
from avt_memocmt.data.index import SPLITS, UtteranceRecord
from avt_memocmt.emotions import EMOTIONS


@dataclass(frozen=True)
class CorpusIndex:
    """What the folder of a corpus holds.

    Attributes:
        records: every annotated utterance, by split (train, dev, test), dialogue and utterance.
        faults: by kind, split and name; every clip, file and split that has one.
        dropped: training utterances left out because they leak.
        labels: names of the classes that the emotions of the records count.
    """

    records: list[UtteranceRecord]
    faults: list[Fault]
    dropped: int = 0
    labels: tuple[str, ...] = EMOTIONS

    def without_leaks(self) -> CorpusIndex:
        """Return this index without the training utterances that are also in another split."""
        leak = FaultKind.LEAK.value
        kept = [r for r in self.records if r.split != "train" or leak not in r.flags]
        return replace(self, records=kept, dropped=len(self.records) - len(kept))


def report_order(fault: Fault) -> tuple[int, int, str]:
    """By kind, split and name, numbers in names by value."""
    name = re.sub(r"\d+", lambda digits: digits[0].zfill(9), fault.name)
    return list(FaultKind).index(fault.kind), ("", *SPLITS).index(fault.split), name


def summarise(index: CorpusIndex) -> tuple[list[str], dict[str, list[int]]]:
    """The splits, and per line of the summary ("utterances", "missing", ...) a count for each."""
    splits = list(dict.fromkeys(record.split for record in index.records))
    groups = [[record for record in index.records if record.split == name] for name in splits]
    counts = {
        "utterances": [len(group) for group in groups],
        "dialogues": [len({record.dialogue_id for record in group}) for group in groups],
        "usable clips": [sum(record.path is not None for record in group) for group in groups],
    }
    for kind, faults in groupby(index.faults, lambda fault: fault.kind):
        of_kind = [fault.split for fault in faults if fault.split]
        if of_kind:
            counts[kind.value] = [of_kind.count(name) for name in splits]
    return splits, counts


def fault_report(index: CorpusIndex, folder: Path) -> str:
    """Markdown: counts first, then each kind of fault with every clip by name.

    Args:
        index: what was read.
        folder: of the corpus, for the title.
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
