"""`avt-memocmt prepare --m3ed` on a small tree in the layout of its repository and its clips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import run
from media_factory import tone, write_wav

from avt_memocmt.data.dialogue_corpora.m3ed import index_m3ed
from avt_memocmt.data.index import UNLABELLED, read_index
from avt_memocmt.emotions import EMOTIONS


def said(speaker: str, text: str, label: str, start: str, end: str) -> dict[str, Any]:
    """One utterance of the annotation."""
    votes = {f"EmoAnnotator{n}": label for n in (1, 2, 3)}
    emotion = {**votes, "final_mul_emo": f"{label},Neutral", "final_main_emo": label}
    times = {"StartTime": start, "EndTime": end}
    return {**times, "Text": text, "Speaker": speaker, "EmoAnnotation": emotion}


def small_m3ed(root: Path) -> Path:
    """Four series, of which one is in no list."""
    people = {
        "A": {"Name": "Fang", "Age": "Young", "Gender": "Female"},
        "B": {"Name": "Xu", "Age": "Young", "Gender": "Male"},
    }
    annotation: dict[str, Any] = {
        series: {
            f"{series}_{number}": {
                "SpeakerInfo": people,
                "Dialog": {
                    f"{series}_{number}_10": said(
                        "B", "好的", "Happy", "00:01:01:00", "00:01:02:05"
                    ),
                    f"{series}_{number}_9": said(
                        "A", "你好吗", "Surprise", "00:00:59:24", "00:01:00:24"
                    ),
                },
            }
            for number in (1, 2)
        }
        for series in ("anjia", "qiaojiadeernv", "fendou", "unlisted")
    }
    odd = annotation["fendou"]["fendou_2"]["Dialog"]["fendou_2_9"]
    odd["EmoAnnotation"]["final_main_emo"] = "Other"
    (root / "splitInfo").mkdir(parents=True)
    (root / "annotation.json").write_text(json.dumps(annotation), encoding="utf-8")
    lists = {"train": "anjia", "val": "qiaojiadeernv", "test": "fendou"}
    for name, series in lists.items():
        (root / "splitInfo" / f"movie_list_{name}.txt").write_text(f"{series}\n")
    sounds, films = root / "modality_speech", root / "videos" / "anjia"
    for folder in (sounds, films):
        folder.mkdir(parents=True)
    for name in ("A_anjia_1_9", "B_anjia_1_10", "A_anjia_2_9", "A_fendou_1_9"):
        write_wav(sounds / f"{name}.wav", tone(0.5))
    write_wav(films / "A_anjia_1_9.mp4", tone(0.5))
    write_wav(films / "anjia_2_10.mp4", tone(0.5))
    return root


def test_series_are_divided_by_the_lists_and_turns_are_in_order(tmp_path: Path) -> None:
    corpus = small_m3ed(tmp_path)
    index = index_m3ed(corpus)
    records = index.records
    assert [record.split for record in records] == ["train"] * 4 + ["dev"] * 4 + ["test"] * 4
    train = records[:4]
    assert [turn.utterance_id for turn in train] == [9, 10, 9, 10]
    assert [turn.dialogue_id for turn in train] == [0, 0, 1, 1]
    assert [turn.speaker for turn in train[:2]] == ["anjia Fang", "anjia Xu"]
    assert [turn.text for turn in train[:2]] == ["你好吗", "好的"]
    assert [EMOTIONS[turn.emotion] for turn in train[:2]] == ["surprise", "joy"]
    paths = [None if turn.path is None else Path(turn.path) for turn in train]
    films, sounds = corpus / "videos" / "anjia", corpus / "modality_speech"
    assert paths == [
        films / "A_anjia_1_9.mp4",
        sounds / "B_anjia_1_10.wav",
        sounds / "A_anjia_2_9.wav",
        films / "anjia_2_10.mp4",
    ]
    # A second has 25 frames; without a clip the stated length counts.
    assert records[-1].end == pytest.approx(1.2)
    assert [turn.emotion for turn in records[-2:]] == [UNLABELLED, EMOTIONS.index("joy")]


def test_the_command_names_every_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = small_m3ed(tmp_path / "m3ed")
    command = ["prepare", "--m3ed", str(corpus), "--out", str(tmp_path)]
    code, _, err = run(command, monkeypatch, capsys)
    assert code == 0, err
    assert len(read_index(tmp_path / "index.parquet")) == 12
    report = (tmp_path / "faults.md").read_text()
    missing = report.split("## missing (3)")[1]
    for line in ("- test fendou_1_10\n", "- test fendou_2_9\n", "- test fendou_2_10\n"):
        assert line in missing
    assert "## no_clips (1)" in report
    assert "- dev\n" in report
    assert "- test fendou_2_9: Other\n" in report
    assert "- unlisted\n" in report


def test_a_folder_of_another_kind_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["prepare", "--out", str(tmp_path / "out"), "--m3ed", str(tmp_path / "m3ed")]

    def refused(words: str) -> None:
        code, _, err = run(command, monkeypatch, capsys)
        assert (code, err.count("\n")) == (1, 1), err
        assert words in err

    refused("has no annotation.json; give the folder of M3ED")
    corpus = small_m3ed(tmp_path / "m3ed")
    for content in ('{"anjia": {"anjia_1": {"Dialog": {}}}}', "[]", "not JSON"):
        (corpus / "annotation.json").write_text(content)
        refused("is not the annotation of M3ED")
