"""`avt-memocmt prepare --meld` on a small release with every known fault, in every layout."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import run
from meld_factory import FAULTS, LAYOUTS, Row, faulty_meld, small_meld, write_clip, write_table

from avt_memocmt.commands.prepare import prepare
from avt_memocmt.data.clip_probe import ClipProbe, probe_clips
from avt_memocmt.data.corpora import meld_dialogues
from avt_memocmt.data.faults import FaultKind
from avt_memocmt.data.index import UtteranceRecord, read_index
from avt_memocmt.data.meld.clips import clip_faults
from avt_memocmt.data.meld.index import index_meld, meld_records
from avt_memocmt.data.meld.table import read_meld_table

OF_OTHERS = {"no_agreement", "other_label", "no_label", "bad_line", "no_split"}
"""Faults that MELD cannot have."""


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return faulty_meld(tmp_path_factory.mktemp("meld"))


@pytest.fixture(scope="module")
def records(release: Path) -> dict[str, UtteranceRecord]:
    return {str(record.key): record for record in meld_records(release)}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_exactly_the_faults_that_are_there_are_reported(tmp_path: Path, layout: str) -> None:
    index = index_meld(faulty_meld(tmp_path, layout))
    found: dict[str, set[str]] = {}
    for fault in index.faults:
        name = fault.name.removeprefix(f"{LAYOUTS[layout][fault.split][1]}/")
        found.setdefault(fault.kind.value, set()).add(f"{fault.split} {name}")
    assert found == FAULTS
    assert FAULTS.keys() == {kind.value for kind in FaultKind} - OF_OTHERS - {"no_clips"}


def test_a_release_without_faults_has_no_flags(tmp_path: Path) -> None:
    index = index_meld(small_meld(tmp_path))
    assert index.faults == []
    assert len(index.records) == 12
    for record in index.records:
        assert (record.flags, record.start, record.end) == ((), 0.0, None)
        assert record.path is not None
        assert Path(record.path).is_file()


def test_nothing_annotated_is_dropped(release: Path, records: dict[str, UtteranceRecord]) -> None:
    rows = sum(
        len(table.read_text(encoding="utf-8").split("\n")) - 2 for table in release.glob("*.csv")
    )
    assert len(records) == rows == 38
    order = [("train", "dev", "test").index(name.split()[0]) for name in records]
    assert order == sorted(order)


def test_records_carry_the_flags_of_their_faults(records: dict[str, UtteranceRecord]) -> None:
    for kind, clips in FAULTS.items():
        for name in clips & records.keys():
            assert kind in records[name].flags
    flagged = {name for name, record in records.items() if record.flags}
    assert flagged == set().union(*FAULTS.values()) & records.keys()


@pytest.mark.parametrize(
    ("name", "text", "end"),
    [
        ("dev dia110_utt7", "This one is absent.", 1.5),
        ("train dia125_utt3", "This file is broken.", 1.0),
    ],
)
def test_words_stay_where_the_clip_is_of_no_use(
    records: dict[str, UtteranceRecord], name: str, text: str, end: float
) -> None:
    record = records[name]
    assert (record.path, record.text, record.end) == (None, text, end)


@pytest.mark.parametrize(
    "name",
    ["train dia5_utt0", "train dia5_utt1", "train dia5_utt2", "train dia6_utt0", "train dia6_utt1"],
)
def test_odd_clips_stay_usable(records: dict[str, UtteranceRecord], name: str) -> None:
    assert records[name].path is not None
    assert records[name].end is None


def test_details_say_what_was_measured(release: Path) -> None:
    details = {
        (fault.kind.value, fault.where): fault.detail for fault in index_meld(release).faults
    }
    assert "moov atom" in details["undecodable", "train dia125_utt3"]
    assert details["duration_mismatch", "train dia5_utt3"].endswith("table 10.00 s")
    assert details["id_gap", "train dia0_utt2"] == "follows utt0"
    assert details["out_of_order", "train dia4_utt1"] == "1.00 s before utt0"
    assert details["overlap", "train dia4_utt2"] == "0.50 s of utt1"


def test_faults_come_in_the_order_of_their_ids(release: Path) -> None:
    names = [fault.where for fault in index_meld(release).faults if fault.kind is FaultKind.ID_GAP]
    assert names == [
        *("train dia0_utt2", "train dia4", "train dia125", "train dia125_utt3"),
        *("dev dia110", "dev dia110_utt6"),
    ]


@pytest.mark.parametrize(
    ("clip", "stated", "flags"),
    [
        (10.0, 12.0, []),  # over a second, but not over half
        (0.4, 1.3, []),  # over half, but not over a second
        (1.0, 2.5, ["duration_mismatch"]),
        (2.5, 1.0, ["duration_mismatch"]),
        (2.5, 0.0, []),  # the table says nothing
        (0.29, 0.3, ["too_short"]),
        (30.1, 30.0, ["too_long"]),
        (None, 1.0, []),
    ],
)
def test_lengths_are_compared_with_the_table(
    tmp_path: Path, clip: float | None, stated: float, flags: list[str]
) -> None:
    table = write_table(tmp_path / "dev_sent_emo.csv", [Row(0, 0, "Hi", start=50, end=50 + stated)])
    (row,) = read_meld_table(table, "dev")
    faults = clip_faults(row, ClipProbe(clip, has_sound=True, has_pictures=True))
    assert [fault.kind.value for fault in faults] == flags


def test_tables_alone_make_an_index_of_words(corpora: Path | None, tmp_path: Path) -> None:
    rows = [Row(0, 0, "Hi!", start=50, end=51), Row(0, 1, "Oh, hi.", "Ross", start=51, end=52)]
    write_table(tmp_path / "dev_sent_emo.csv", rows)
    index = index_meld(corpora / "meld" if corpora else tmp_path, "dev")
    assert len(index.records) == (1109 if corpora else 2)
    assert all(record.path is None and "missing" not in record.flags for record in index.records)
    assert [fault.where for fault in index.faults if fault.kind is FaultKind.NO_CLIPS] == ["dev"]


def test_one_split_is_read_without_the_others(release: Path) -> None:
    assert {record.split for record in meld_records(release, "test")} == {"test"}


def test_the_recipes_read_the_same_words(
    release: Path, records: dict[str, UtteranceRecord], tmp_path: Path
) -> None:
    (tmp_path / "meld").symlink_to(release)
    dialogues = meld_dialogues(tmp_path, "test")
    own = [record for record in records.values() if record.split == "dev"]
    assert [(row.key, row.text) for rows in dialogues for row in rows] == [
        (record.key, record.text) for record in own
    ]
    assert [len({row.key.dialogue_id for row in rows}) for rows in dialogues] == [1] * len(
        dialogues
    )


def test_a_pool_finds_what_one_process_finds(release: Path, tmp_path: Path) -> None:
    paths = [*sorted((release / "train_splits").iterdir()), tmp_path / "absent.mp4"] * 3
    seen: list[tuple[int, int]] = []
    pooled = probe_clips(paths, 2, lambda done, total: seen.append((done, total)))
    assert pooled == probe_clips(paths)
    assert {probe.refusal is None for probe in pooled} == {True, False}
    assert seen == [(number + 1, len(paths)) for number in range(len(paths))]


def test_the_command_writes_the_same_bytes_again(release: Path, tmp_path: Path) -> None:
    prepare(release, tmp_path / "one")
    prepare(release, tmp_path / "two")
    for name in ("index.parquet", "faults.md"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert read_index(tmp_path / "one" / "index.parquet") == meld_records(release)


def test_the_report_names_every_clip_under_its_fault(release: Path, tmp_path: Path) -> None:
    prepare(release, tmp_path)
    report = (tmp_path / "faults.md").read_text(encoding="utf-8")
    counts, *sections = report.split("\n## ")
    assert "| missing | 0 | 1 | 0 |" in counts
    assert "| utterances | 28 | 6 | 4 |" in counts
    assert "| usable clips | 27 | 5 | 4 |" in counts
    for section in sections:
        title, *_ = section.split(" (")
        named = [line for line in section.splitlines() if line.startswith("- ")]
        assert len(named) == len(FAULTS[title])
    assert len(sections) == len(FAULTS)


def test_drop_leaks_drops_the_training_side(release: Path, tmp_path: Path) -> None:
    before = {str(record.key) for record in meld_records(release)}
    prepare(release, tmp_path, drop_leaks=True)
    after = {str(record.key) for record in read_index(tmp_path / "index.parquet")}
    assert before - after == {name for name in FAULTS["leak"] if name.startswith("train")}
    assert "they leak: 3 utterances" in (tmp_path / "faults.md").read_text(encoding="utf-8")


def test_preferred_cuts_reach_the_index(release: Path, tmp_path: Path) -> None:
    prepare(release, tmp_path, prefer_final_videos=True)
    used = {
        Path(record.path).name for record in read_index(tmp_path / "index.parquet") if record.path
    }
    assert "final_videos_testdia0_utt0.mp4" in used


def test_faults_are_normal_and_a_wrong_folder_is_not(
    release: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["prepare", "--out", str(tmp_path / "out"), "--workers", "1", "--meld"]
    code, _, err = run([*arguments, str(tmp_path / "absent")], monkeypatch, capsys)
    assert (code, err.count("\n"), "is no folder" in err) == (1, 1, True)
    assert not list((tmp_path / "out").iterdir())
    code, out, _ = run([*arguments, str(release)], monkeypatch, capsys)
    assert (code, "undecodable" in out) == (0, True)


def test_a_corpus_of_one_split_with_odd_ids(tmp_path: Path) -> None:
    write_table(tmp_path / "test_sent_emo.csv", [Row(999_999_999, 0, "Only one.", "All")])
    write_clip(tmp_path / "dia999999999_utt0.mp4")
    (record,) = meld_records(tmp_path)
    assert record.flags == ("single_turn", "joint_speakers")
    assert record.path == str(tmp_path / "dia999999999_utt0.mp4")
