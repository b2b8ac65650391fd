"""What every builder of an index does with the utterances that it found in its corpus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from avt_memocmt.data.clip_probe import Progress, probe_clips
from avt_memocmt.data.corpus_index import CorpusIndex, report_order
from avt_memocmt.data.faults import Fault, FaultKind, flags_of
from avt_memocmt.data.index import SPLITS, UtteranceRecord
from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.errors import AvtError


@dataclass(frozen=True)
class FoundUtterance:
    """An utterance as its corpus has it.

    Attributes:
        name: its name in the corpus, for the report of faults.
        record: what the index will hold; its path is not checked yet.
        fault: what is wrong with its label, or None.
        detail: more about that, such as the label.
    """

    name: str
    record: UtteranceRecord
    fault: FaultKind | None = None
    detail: str = ""


def build_index(
    found: Sequence[FoundUtterance],
    labels: tuple[str, ...] = EMOTIONS,
    *,
    left_out: Sequence[Fault] = (),
    workers: int = 1,
    progress: Progress | None = None,
) -> CorpusIndex:
    """Check the media and put the utterances in order.

    An utterance whose media is missing or cannot be decoded keeps its words, has no path, and
    lasts as long as its corpus says.

    Args:
        found: all utterances.
        labels: names of the classes that their emotions count.
        left_out: faults of what is in no split.
        workers: processes that open files.
        progress: called with the files checked and all files.
    """
    paths = sorted({f.record.path for f in found if f.record.path is not None})
    probes = probe_clips([Path(path) for path in paths], workers, progress)
    refusals = {path: probe.refusal for path, probe in zip(paths, probes, strict=True)}
    bare = {f.record.split for f in found} - {f.record.split for f in found if f.record.path}
    records, faults = [], [Fault(FaultKind.NO_CLIPS, split, "") for split in bare]
    for utterance in found:
        record = utterance.record
        own = list(_faults(utterance, refusals))
        if record.path is None or refusals[record.path] is not None:
            end = None if record.end is None else record.end - record.start
            record = replace(record, path=None, start=0.0, end=end)
        records.append(replace(record, flags=flags_of({fault.kind for fault in own})))
        # Where a split has no media at all, one fault says so.
        is_bare = record.split in bare
        faults += [fault for fault in own if fault.kind != FaultKind.MISSING or not is_bare]
    records.sort(key=lambda r: (SPLITS.index(r.split), r.dialogue_id, r.utterance_id))
    return CorpusIndex(records, sorted([*faults, *left_out], key=report_order), labels=labels)


def _faults(utterance: FoundUtterance, refusals: dict[str, str | None]) -> Iterator[Fault]:
    split, path = utterance.record.split, utterance.record.path
    if utterance.fault is not None:
        yield Fault(utterance.fault, split, utterance.name, utterance.detail)
    if path is None:
        yield Fault(FaultKind.MISSING, split, utterance.name)
    elif refusals[path] is not None:
        yield Fault(FaultKind.UNDECODABLE, split, utterance.name, refusals[path] or "")
    if not utterance.record.text:
        yield Fault(FaultKind.NO_WORDS, split, utterance.name)


def first_file(*paths: Path) -> str | None:
    """The absolute path of the first of these files that is there."""
    return next((str(path.absolute()) for path in paths if path.is_file()), None)


def require_folders(corpus: Path, name: str, folders: Iterable[str]) -> None:
    """Refuse a folder that is not the corpus's.

    Raises:
        AvtError: it lacks one of these folders or files.
    """
    missing = next((part for part in folders if not (corpus / part).exists()), None)
    if missing is not None:
        raise AvtError(f"{corpus} has no {missing}; give the folder of {name} as it is downloaded.")
