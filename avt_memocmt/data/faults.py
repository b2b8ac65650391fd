"""The faults of a corpus: their names, and one fault of one utterance, file or split."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from avt_memocmt.data.index import UtteranceKey


class FaultKind(StrEnum):
    """Every kind of fault: the flag that a record carries, and what it means."""

    meaning: str

    def __new__(cls, flag: str, meaning: str) -> FaultKind:
        """Make the member from its flag and its meaning."""
        kind = str.__new__(cls, flag)
        kind._value_ = flag
        kind.meaning = meaning
        return kind

    NO_CLIPS = "no_clips", "the split has no clips; its words are indexed without media"
    MISSING = "missing", "annotated, but there is no clip; the words are kept without media"
    UNDECODABLE = (
        "undecodable",
        "the clip cannot be opened, or no sound and no picture in it is intact; the words are kept",
    )
    NO_SOUND = "no_sound", "the clip has pictures alone"
    NO_PICTURES = "no_pictures", "the clip has sound alone"
    UNANNOTATED = "unannotated", "a clip without a row in the table; ignored"
    FINAL_VIDEO = "final_video", "a second cut of a test clip (final_videos_test...)"
    EXTRA_FILE = "extra_file", "a second file for the same clip or table; ignored"
    JUNK_FILE = "junk_file", "no clip: a hidden file, one under 1 kB, or a name that says nothing"
    TOO_SHORT = "too_short", "under 0.3 s; may be too little for an audio encoder or a face"
    TOO_LONG = "too_long", "over 30 s; what is decoded is capped"
    DURATION_MISMATCH = (
        "duration_mismatch",
        "clip and table differ by over 1 s and over half; the clip is trusted",
    )
    ZERO_DURATION = "zero_duration", "the table's times span less than a frame; the clip is trusted"
    TEXT_REPAIRED = "text_repaired", "characters of a wrong encoding were replaced"
    NO_WORDS = "no_words", "no words are left after cleaning"
    NO_AGREEMENT = (
        "no_agreement",
        "the annotators agree on no one label; kept without a label, as context",
    )
    OTHER_LABEL = (
        "other_label",
        "labelled with none of the classes; kept without a label, as context",
    )
    NO_LABEL = "no_label", "not annotated; kept without a label, as context"
    BAD_LINE = "bad_line", "a line of a transcript that cannot be read; left out"
    NO_SPLIT = "no_split", "in none of the lists of the splits; left out"
    ID_GAP = "id_gap", "ids before this one are not used; turns are ordered by id"
    OUT_OF_ORDER = "out_of_order", "begins before the turn that precedes it by id"
    OVERLAP = "overlap", "begins before the preceding turn has ended"
    SINGLE_TURN = "single_turn", "the only turn of its dialogue"
    JOINT_SPEAKERS = "joint_speakers", "several people speak; kept as a speaker of its own"
    LEAK = "leak", "the same utterance is in another split"
    DUPLICATE = "duplicate", "the same utterance is in another dialogue of the split"
    LABEL_CONFLICT = "label_conflict", "a leak or duplicate whose copy has another emotion"
    SHARED_FOOTAGE = (
        "shared_footage",
        "another utterance lies within the same stretch of the episode; nothing is dropped for it",
    )


@dataclass(frozen=True)
class Fault:
    """One fault of one clip, file or split.

    Attributes:
        kind: what is wrong.
        split: "train", "dev" or "test"; "" for what is in none.
        name: "dia125_utt3", a file's path within the folder, or "" for the whole split.
        detail: more about it, may be empty.
    """

    kind: FaultKind
    split: str
    name: str
    detail: str = ""

    @property
    def where(self) -> str:
        """What is at fault: "train dia125_utt3"."""
        return f"{self.split} {self.name}".strip()


def clip_fault(kind: FaultKind, key: UtteranceKey, detail: str = "") -> Fault:
    """A fault of an utterance or its clip."""
    return Fault(kind, key.split, str(key).removeprefix(f"{key.split} "), detail)


def flags_of(kinds: Collection[FaultKind]) -> tuple[str, ...]:
    """The flags that a record with these faults carries, in the order of `FaultKind`."""
    return tuple(kind.value for kind in FaultKind if kind in kinds)


def flags_by_clip(faults: Iterable[Fault]) -> dict[str, tuple[str, ...]]:
    """Names of the faults of each clip ("train dia125_utt3"), as of `flags_of`."""
    found: dict[str, set[FaultKind]] = {}
    for fault in faults:
        found.setdefault(fault.where, set()).add(fault.kind)
    return {where: flags_of(kinds) for where, kinds in found.items()}
