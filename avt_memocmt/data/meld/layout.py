"""Where the tables and the clips of a MELD folder lie, in whatever layout it was unpacked.

The official archives make `train_splits/`, `dev_splits_complete/` and
`output_repeated_splits_test/`, the paper's layout is `{train,dev,test}/videos/`; the tables lie
beside these folders or above them. A clip belongs to the split that the nearest folder above it
names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from avt_memocmt.data.faults import Fault, FaultKind
from avt_memocmt.data.index import SPLITS, UtteranceKey
from avt_memocmt.errors import AvtError

MIN_CLIP_BYTES = 1000
"""A smaller file is no clip; macOS leaves such files beside the real ones."""

_SPLIT_OF_FOLDER = {
    **{split: split for split in SPLITS},
    "train_splits": "train",
    "dev_splits_complete": "dev",
    "output_repeated_splits_test": "test",
}
_MAX_DEPTH = 4  # MELD.Raw/train/train_splits/ and one folder above
_CLIP_NAME = re.compile(
    r"(?P<final>final_videos_test)?dia(?P<dialogue>\d{1,9})_utt(?P<utterance>\d{1,9})\.mp4",
    re.IGNORECASE,
)


@dataclass
class SplitFiles:
    """What a MELD folder holds of one split.

    Attributes:
        meld: the folder.
        split: name of the split.
        table: its `{split}_sent_emo.csv`.
        clips: media file of each utterance that has one, annotated or not.
        faults: files that are no clip, or that are not used.
    """

    meld: Path
    split: str
    table: Path
    clips: dict[UtteranceKey, Path] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def add(self, path: Path, prefer_final_videos: bool) -> None:
        """Add one .mp4 file, as a clip or as a fault."""
        match = _clip_name(path)
        if match is None:
            self.report(FaultKind.JUNK_FILE, path)
            return
        key = UtteranceKey(self.split, int(match["dialogue"]), int(match["utterance"]))
        if match["final"]:
            use = "used" if prefer_final_videos else "not used"
            self.report(FaultKind.FINAL_VIDEO, path, use)
            if prefer_final_videos:
                self.clips[key] = path
        elif key in self.clips:
            self.report(FaultKind.EXTRA_FILE, path)
        else:
            self.clips[key] = path

    def report(self, kind: FaultKind, path: Path, detail: str = "") -> None:
        """Note a file that is not used as it lies there."""
        self.faults.append(Fault(kind, self.split, path.relative_to(self.meld).as_posix(), detail))


def find_splits(
    meld: Path, split: str | None = None, prefer_final_videos: bool = False
) -> list[SplitFiles]:
    """The splits that a MELD folder has a table of, in the order of `SPLITS`.

    Args:
        meld: the folder.
        split: look for this one alone.
        prefer_final_videos: use `final_videos_testdia*_utt*.mp4` in place of the plain test clip.

    Raises:
        AvtError: the folder is missing, has no table (of the split), or holds clips of a split
            without a table or of no split.
    """
    if not meld.is_dir():
        raise AvtError(f"{meld} is no folder; give the folder of the MELD release.")
    meld = Path(os.path.abspath(meld))
    files = sorted(_walk(meld), key=lambda path: (len(path.parts), path))
    found = _tables(meld, files)
    if not found or split not in (None, *found):
        raise AvtError(
            f"{meld} has no {split or 'train'}_sent_emo.csv; give a folder with the MELD tables "
            f"({', '.join(f'{name}_sent_emo.csv' for name in SPLITS)})."
        )
    only = next(iter(found)) if len(found) == 1 else None
    for path in files:
        owner = _split_of(meld, path) or only
        if path.suffix.lower() != ".mp4" or (split and owner not in (None, split)):
            continue
        if owner in found:
            found[owner].add(path, prefer_final_videos)
        elif _clip_name(path):
            raise AvtError(_homeless(meld, path, owner))
    return [found[name] for name in SPLITS if name in found and split in (None, name)]


def _walk(meld: Path) -> Iterator[Path]:
    # The bound ends loops of links, and a walk through a whole disk.
    for folder, folders, files in os.walk(meld, followlinks=True):
        if len(Path(folder).relative_to(meld).parts) >= _MAX_DEPTH:
            folders.clear()
        yield from (Path(folder, name) for name in files)


def _tables(meld: Path, files: list[Path]) -> dict[str, SplitFiles]:
    """The highest table of each split; further ones are faults."""
    found: dict[str, SplitFiles] = {}
    for path in files:
        split = path.name.removesuffix("_sent_emo.csv")
        if path.name == f"{split}_sent_emo.csv" and split in SPLITS:
            if split in found:
                found[split].report(FaultKind.EXTRA_FILE, path)
            else:
                found[split] = SplitFiles(meld, split, path)
    return found


def _split_of(meld: Path, path: Path) -> str | None:
    folders = (folder.lower() for folder in reversed(path.relative_to(meld).parts[:-1]))
    return next((_SPLIT_OF_FOLDER[name] for name in folders if name in _SPLIT_OF_FOLDER), None)


def _clip_name(path: Path) -> re.Match[str] | None:
    """The parts of a clip's name, or None for what is no clip (or a link that leads nowhere)."""
    match = _CLIP_NAME.fullmatch(path.name)
    return match if match and path.is_file() and path.stat().st_size >= MIN_CLIP_BYTES else None


def _homeless(meld: Path, path: Path, split: str | None) -> str:
    if split is None:
        return (
            f"{path.parent} holds clips, but no folder in its path names a split; put them into "
            "train/videos, dev/videos or test/videos."
        )
    return f"{path.parent} holds clips, but there is no {split}_sent_emo.csv; put it into {meld}."
