"""Leaks and duplicates: what counts as the same utterance, and those of the release."""

from __future__ import annotations

from pathlib import Path

import pytest
from meld_factory import Row, write_table

from avt_memocmt.data.meld.duplicates import duplicate_faults
from avt_memocmt.data.meld.table import MeldRow, read_meld_table


def compare(folder: Path, train: list[Row], dev: list[Row]) -> dict[tuple[str, str], str]:
    """Details by (kind, clip) of what two splits have in common."""
    rows: list[MeldRow] = []
    for split, turns in (("train", train), ("dev", dev)):
        rows += read_meld_table(write_table(folder / f"{split}_sent_emo.csv", turns), split)
    return {(fault.kind.value, fault.where): fault.detail for fault in duplicate_faults(rows)}


@pytest.mark.parametrize(
    ("span", "kind"),
    [
        ((10.0, 14.0), "leak"),
        ((11.0, 15.0), "leak"),  # 3 of 5 s in common
        ((12.0, 16.0), "shared_footage"),  # 2 of 6 s, half of either
        ((10.0, 11.0), "shared_footage"),
        ((13.0, 17.0), None),
        ((14.0, 18.0), None),
    ],
)
def test_a_leak_is_mostly_one_span(
    tmp_path: Path, span: tuple[float, float], kind: str | None
) -> None:
    train = [Row(3, 1, "One thing.", start=10.0, end=14.0)]
    found = compare(tmp_path, train, [Row(5, 0, "Another.", start=span[0], end=span[1])])
    sides = {(kind, "train dia3_utt1"), (kind, "dev dia5_utt0")} if kind else set()
    assert found.keys() == sides


def test_spans_of_other_episodes_are_not_compared(tmp_path: Path) -> None:
    train = [Row(0, 0, "One thing.", episode=1)]
    assert compare(tmp_path, train, [Row(0, 0, "Another.", episode=2)]) == {}


@pytest.mark.parametrize(
    ("lines", "leaks"),
    [
        (["How are you doing?", "Fine, thank you."], 4),
        (["HOW ARE YOU doing", "Fine -- thank you!!"], 4),
        (["How are you doing?", "Bad, thank you."], 0),
        (["How are you doing today, my dear friend?", "Fine."], 0),
    ],
)
def test_words_leak_in_runs_of_equal_turns(tmp_path: Path, lines: list[str], leaks: int) -> None:
    said = ["How are you doing?", "Fine, thank you."]
    train = [Row(0, i, text, "Ross", start=i, end=i + 1) for i, text in enumerate(said)]
    dev = [Row(4, 2 * i, text, "Ross", start=90 + i, end=91 + i) for i, text in enumerate(lines)]
    found = compare(tmp_path, train, dev)
    assert sum(kind == "leak" for kind, _ in found) == leaks


def test_words_of_another_speaker_are_no_leak(tmp_path: Path) -> None:
    text = "You know that I never said this before."
    dev = [Row(0, 0, text, "Ross", start=90, end=91)]
    assert compare(tmp_path, [Row(0, 0, text, "Joey")], dev) == {}


def test_a_conflict_names_both_labels(tmp_path: Path) -> None:
    train = [Row(3, 0, "Oh!", emotion="joy"), Row(4, 0, "Oh!", emotion="fear")]
    found = compare(tmp_path, train, [Row(0, 0, "Far.", start=90, end=91)])
    assert found["duplicate", "train dia3_utt0"] == "1.00 s in common with train dia4_utt0"
    assert found["label_conflict", "train dia4_utt0"] == "fear, but joy in train dia3_utt0"


def test_the_known_leaks_of_the_release_are_found(data_dir: Path) -> None:
    rows: list[MeldRow] = []
    for split in ("train", "dev"):
        rows += read_meld_table(data_dir / "meld" / f"{split}_sent_emo.csv", split)
    faults = duplicate_faults(rows)
    leaks = {fault.where: fault.detail for fault in faults if fault.kind == "leak"}
    assert leaks == {
        "train dia53_utt0": "2.42 s in common with dev dia52_utt2",
        "dev dia52_utt2": "2.42 s in common with train dia53_utt0",
        "train dia433_utt1": "1.00 s in common with dev dia77_utt0",
        "dev dia77_utt0": "1.00 s in common with train dia433_utt1",
    }
    conflicts = {fault.where for fault in faults if fault.kind == "label_conflict"}
    assert {"train dia376_utt3", "train dia725_utt3"} <= conflicts
