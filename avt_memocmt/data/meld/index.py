"""A MELD folder as an index: utterances with their clips, and everything that is wrong with them.

MELD: Poria et al. 2019, "MELD: A Multimodal Multi-Party Dataset for Emotion Recognition in
Conversations", ACL 2019.
"""

from __future__ import annotations

from pathlib import Path

from avt_memocmt.data.clip_probe import Progress, probe_clips
from avt_memocmt.data.corpus_index import CorpusIndex, report_order
from avt_memocmt.data.faults import Fault, FaultKind, clip_fault, flags_by_clip
from avt_memocmt.data.index import UtteranceRecord
from avt_memocmt.data.meld.clips import clip_faults
from avt_memocmt.data.meld.duplicates import duplicate_faults
from avt_memocmt.data.meld.faults import ONE_FRAME, transcript_faults
from avt_memocmt.data.meld.layout import SplitFiles, find_splits
from avt_memocmt.data.meld.table import MeldRow, read_meld_table


def index_meld(
    meld: Path,
    split: str | None = None,
    *,
    prefer_final_videos: bool = False,
    workers: int = 1,
    progress: Progress | None = None,
) -> CorpusIndex:
    """Read the tables of a MELD folder in any layout and check every annotated clip.

    A record without a usable clip keeps its words, has no path, and ends after the seconds that
    the table states. Its flags are the kinds of its faults.

    Args:
        meld: the folder.
        split: read this one alone; leaks across splits are then not seen.
        prefer_final_videos: use the second cuts of test clips where there are any.
        workers: processes that open clips.
        progress: called with the number of clips checked and of all clips.

    Raises:
        AvtError: the folder is no MELD folder, or a table is broken; the message names file and
            line.
    """
    splits = find_splits(meld, split, prefer_final_videos)
    rows = [row for files in splits for row in read_meld_table(files.table, files.split)]
    faults = duplicate_faults(rows)
    for files in splits:
        own = [row for row in rows if row.key.split == files.split]
        faults += [*files.faults, *transcript_faults(own), *_absence_faults(files, own)]
    paths = {key: path for files in splits for key, path in files.clips.items()}
    with_clip = [row for row in rows if row.key in paths]
    probes = probe_clips([paths[row.key] for row in with_clip], workers, progress)
    for row, probe in zip(with_clip, probes, strict=True):
        faults += clip_faults(row, probe)
        if probe.refusal is not None:
            del paths[row.key]
    flags = flags_by_clip(faults)
    records = [_record(row, paths.get(row.key), flags.get(str(row.key), ())) for row in rows]
    return CorpusIndex(records, sorted(faults, key=report_order))


def meld_records(meld: Path, split: str | None = None) -> list[UtteranceRecord]:
    """The utterances of a MELD folder, or of one of its splits; see `index_meld`.

    Raises:
        AvtError: as `index_meld`.
    """
    return index_meld(meld, split).records


def _absence_faults(files: SplitFiles, rows: list[MeldRow]) -> list[Fault]:
    """Clips without rows and rows without clips; a split without any clip is one fault."""
    if not files.clips:
        return [Fault(FaultKind.NO_CLIPS, files.split, "")]
    annotated = {row.key for row in rows}
    return [
        *(clip_fault(FaultKind.MISSING, key) for key in annotated - files.clips.keys()),
        *(clip_fault(FaultKind.UNANNOTATED, key) for key in files.clips.keys() - annotated),
    ]


def _record(row: MeldRow, path: Path | None, flags: tuple[str, ...]) -> UtteranceRecord:
    stated = row.duration if row.duration >= ONE_FRAME else None
    return UtteranceRecord(
        *row.key,
        speaker=row.speaker or None,
        text=row.text,
        emotion=row.emotion,
        path=str(path) if path else None,
        end=stated if path is None else None,
        flags=flags,
        sentiment=row.sentiment,
    )
