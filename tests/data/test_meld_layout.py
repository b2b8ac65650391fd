"""Where a MELD folder's tables and clips lie, and folders that are none."""

from __future__ import annotations

from pathlib import Path

import pytest
from meld_factory import LAYOUTS, Row, small_meld, write_clip, write_table

from avt_memocmt.data.index import UtteranceKey
from avt_memocmt.data.meld.layout import find_splits
from avt_memocmt.errors import AvtError


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_found(tmp_path: Path, layout: str) -> None:
    splits = find_splits(small_meld(tmp_path, layout))
    assert [files.split for files in splits] == ["train", "dev", "test"]
    for files in splits:
        table, folder = LAYOUTS[layout][files.split]
        assert files.table == tmp_path / table
        assert files.clips == {
            UtteranceKey(files.split, dialogue, utterance): tmp_path
            / folder
            / f"dia{dialogue}_utt{utterance}.mp4"
            for dialogue in (0, 1)
            for utterance in (0, 1)
        }
        assert files.faults == []


def test_the_folder_of_one_split_is_enough(tmp_path: Path) -> None:
    small_meld(tmp_path, "paper_tables_in_splits")
    (files,) = find_splits(tmp_path / "dev")
    assert (files.split, len(files.clips)) == ("dev", 4)


def test_one_split_can_be_asked_for(tmp_path: Path) -> None:
    small_meld(tmp_path)
    (tmp_path / "train_sent_emo.csv").unlink()
    (files,) = find_splits(tmp_path, "dev")
    assert (files.split, len(files.clips)) == ("dev", 4)
    with pytest.raises(AvtError, match=r"has no train_sent_emo\.csv"):
        find_splits(tmp_path, "train")


def test_a_second_table_is_reported_and_not_read(tmp_path: Path) -> None:
    small_meld(tmp_path)
    write_table(tmp_path / "train_splits" / "train_sent_emo.csv", [])
    train = find_splits(tmp_path)[0]
    assert train.table == tmp_path / "train_sent_emo.csv"
    assert [(fault.kind.value, fault.name) for fault in train.faults] == [
        ("extra_file", "train_splits/train_sent_emo.csv")
    ]


@pytest.mark.parametrize("prefer", [False, True])
def test_a_second_cut_is_used_on_demand(tmp_path: Path, prefer: bool) -> None:
    small_meld(tmp_path)
    final = "final_videos_testdia0_utt1.mp4"
    write_clip(tmp_path / "output_repeated_splits_test" / final)
    test = find_splits(tmp_path, prefer_final_videos=prefer)[2]
    assert test.clips[UtteranceKey("test", 0, 1)].name == (final if prefer else "dia0_utt1.mp4")
    assert [fault.detail for fault in test.faults] == ["used" if prefer else "not used"]


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    release = small_meld(tmp_path / "release")
    linked = tmp_path / "linked"
    write_table(linked / "train_sent_emo.csv", [Row(0, 0, "Hi")])
    (linked / "train").mkdir()
    (linked / "train" / "videos").symlink_to(release / "train_splits")
    (linked / "train" / "circle").symlink_to(linked)
    (linked / "train" / "dia9_utt9.mp4").symlink_to(tmp_path / "nowhere")
    (train,) = find_splits(linked)
    assert train.clips[UtteranceKey("train", 0, 0)] == linked / "train/videos/dia0_utt0.mp4"
    assert {"train/dia9_utt9.mp4"} <= {fault.name for fault in train.faults}


def test_clips_without_a_table_are_named(tmp_path: Path) -> None:
    small_meld(tmp_path)
    (tmp_path / "dev_sent_emo.csv").unlink()
    with pytest.raises(AvtError, match=r"dev_splits_complete holds clips, .* no dev_sent_emo\.csv"):
        find_splits(tmp_path)


def test_clips_of_no_split_are_named(tmp_path: Path) -> None:
    write_clip(small_meld(tmp_path) / "more" / "dia0_utt0.mp4")
    with pytest.raises(AvtError, match="more holds clips, but no folder in its path names a split"):
        find_splits(tmp_path)


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AvtError, match="is no folder"):
        find_splits(tmp_path / "absent")
    with pytest.raises(AvtError, match=r"has no train_sent_emo\.csv"):
        find_splits(tmp_path)
