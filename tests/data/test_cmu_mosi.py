"""`avt-memocmt prepare --cmu-mosi` on a small tree in the layout of the raw release."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import run
from media_factory import tone, write_wav

from avt_memocmt.data.dialogue_corpora.cmu_mosi import FOLDS, index_cmu_mosi
from avt_memocmt.data.index import UNLABELLED, index_labels, read_index
from avt_memocmt.emotions import SENTIMENTS
from avt_memocmt.errors import AvtError


def small_mosi(root: Path) -> Path:
    """Three videos in lists and one in none."""
    transcripts, labels = root / "Raw/Transcript/Segmented", root / "Raw/Labels"
    video, audio = root / "Raw/Video/Segmented", root / "Raw/Audio/WAV_16000/Segmented"
    for folder in (transcripts, labels, video, audio):
        folder.mkdir(parents=True)
    lines = "1_DELIM_A GREAT FILM\n2_DELIM_I SAW IT\n10_DELIM_NOT GOOD\n"
    for name in ("aaa", "b_b", "ccc", "zzz"):
        (transcripts / f"{name}.annotprocessed").write_text(lines)
        write_wav(audio / f"{name}_1.wav", tone(0.5))
    write_wav(video / "aaa_1.mp4", tone(0.5))
    (labels / "OpinionLevelSentiment.csv").write_text(
        "0.0,1.5,aaa,1,2.6\n2.0,3.0,aaa,2,0.0\n4.0,5.0,aaa,10,-0.2\n"
        "6.0,7.0,aaa,11,1.0\n0.0,1.0,b_b,1,-3.0\n0.0,1.0,ccc,1,0.2\n"
    )
    (root / FOLDS).write_text(
        "standard_train_fold=['aaa']\nstandard_valid_fold=['b_b']\nstandard_test_fold=['ccc']\n"
    )
    return root


def test_its_classes_are_the_sentiments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = small_mosi(tmp_path / "mosi")
    command = ["prepare", "--cmu-mosi", str(corpus), "--out", str(tmp_path)]
    code, _, err = run(command, monkeypatch, capsys)
    assert code == 0, err
    index = tmp_path / "index.parquet"
    assert index_labels(index) == SENTIMENTS
    with pytest.raises(AvtError, match="has the labels negative, neutral, positive"):
        read_index(index)
    records = read_index(index, SENTIMENTS)
    assert [r.split for r in records] == ["train"] * 4 + ["dev"] * 3 + ["test"] * 3
    train, dev = records[:4], records[4:7]
    assert [turn.utterance_id for turn in train] == [1, 2, 10, 11]
    labels = [SENTIMENTS[turn.emotion] for turn in train]
    assert labels == ["positive", "neutral", "negative", "positive"]
    assert [turn.text for turn in train] == ["A GREAT FILM", "I SAW IT", "NOT GOOD", ""]
    assert train[0].path == str(corpus / "Raw/Video/Segmented/aaa_1.mp4")
    assert dev[0].path == str(corpus / "Raw/Audio/WAV_16000/Segmented/b_b_1.wav")
    assert (train[1].path, train[1].end) == (None, 1.0)
    assert {turn.speaker for turn in dev} == {"b_b"}
    assert [turn.emotion for turn in dev] == [0, UNLABELLED, UNLABELLED]
    report = (tmp_path / "faults.md").read_text()
    for line in ("- train aaa_2\n", "- train aaa_11\n", "- dev b_b_2\n", "- zzz\n"):
        assert line in report


def test_a_folder_of_another_kind_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = small_mosi(tmp_path / "mosi")
    labels = corpus / "Raw/Labels/OpinionLevelSentiment.csv"
    labels.write_text("start,end,video,segment,label\n")
    with pytest.raises(AvtError, match=r"line 1 is not START, END, VIDEO, SEGMENT, SCORE"):
        index_cmu_mosi(corpus)
    labels.unlink()
    command = ["prepare", "--out", str(tmp_path / "out"), "--cmu-mosi", str(corpus)]
    code, _, err = run(command, monkeypatch, capsys)
    assert (code, err.count("\n")) == (1, 1), err
    assert "has no Raw/Labels/OpinionLevelSentiment.csv; give the folder of CMU-MOSI" in err
