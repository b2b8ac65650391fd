"""`avt-memocmt prepare --cmu-mosei` on a small tree in the layout of the raw release."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import pytest
from command_line import run
from media_factory import tone, write_wav

from avt_memocmt.data.dialogue_corpora.cmu_mosei import FOLDS, index_cmu_mosei
from avt_memocmt.data.index import UNLABELLED, UtteranceRecord, read_index
from avt_memocmt.emotions import EMOTIONS, SENTIMENTS

SEGMENTS = {
    "aaa": [
        "aaa___1___2.5___3.0___And then I liked it a lot.",
        "aaa___0___0.5___1.25___I saw ___ this film.",
        "aaa___2___3.0___3.5___Some are sad and angry.",
        "aaa___3___3.5___4.0___Nobody rated this.",
        "a line of another kind",
    ],
    "-bbb": ["-bbb___0___0.0___0.5___Nothing to say."],
    "12345": ["12345___7___0.0___0.5___It was awful."],
    "zzz": ["zzz___0___0.0___0.5___In no list."],
}
NAMES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "sentiment")
RATINGS = {
    # Of three annotators: joy twice, sadness once and weaker.
    "5000_batch_raw.csv": [
        ("aaa", 0, (0, 0, 0, 2, 0, 0, 1)),
        ("aaa", 0, (0, 0, 0, 1, 1, 0, 0)),
        ("aaa", 0, (0, 0, 0, 0, 0, 0, -3)),
        ("aaa", 1, (0, 0, 0, 0, 0, 3, 3)),
        ("aaa", 2, (1, 0, 0, 0, 1, 0, -1)),
        ("-bbb", 0, (0, 0, 0, 0, 0, 0, 0)),
    ],
    "pom_extra_sqa_mono_results.csv": [("videos/12345", 7, (0, 3, 0, 0, 0, 0, -2))],
}


def small_mosei(root: Path) -> Path:
    """Three videos in lists and one in none; one is cut in part, one is whole, one has no media."""
    transcripts, labels = root / "Raw/Transcript/Segmented/Combined", root / "Raw/Labels"
    for folder in (transcripts, labels):
        folder.mkdir(parents=True)
    for video, lines in SEGMENTS.items():
        (transcripts / f"{video}.txt").write_text("\n".join(lines) + "\n")
    for name, rows in RATINGS.items():
        write_ratings(labels / name, rows)
    (labels / "README.csv").write_text("another,table\n1,2\n")
    cut = root / "Raw/Videos/Segmented/Combined"
    whole = root / "Raw/Audio/Full/WAV_16000"
    for folder in (cut, whole):
        folder.mkdir(parents=True)
    write_wav(cut / "aaa_0.mp4", tone(0.75))
    write_wav(whole / "aaa.wav", tone(4.0))
    write_wav(whole / "-bbb.wav", tone(0.5))
    lists = {"train": ["aaa"], "valid": ["-bbb"], "test": ["12345", "not there"]}
    text = "".join(f"standard_{name}_fold={videos}\n\n" for name, videos in lists.items())
    (root / FOLDS).write_text(text)
    return root


def write_ratings(path: Path, rows: Sequence[tuple[str, int, Sequence[int]]]) -> None:
    """Write a table of Mechanical Turk, with columns that nobody needs."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        columns = [f"Answer.{name}" for name in NAMES]
        writer.writerow(["HITId", "Input.VIDEO_ID", "Input.CLIP", *columns])
        writer.writerows([f"hit{i}", video, clip, *r] for i, (video, clip, r) in enumerate(rows))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_mosei(tmp_path_factory.mktemp("mosei"))


@pytest.fixture(scope="module")
def records(corpus: Path) -> list[UtteranceRecord]:
    return index_cmu_mosei(corpus).records


def test_segments_are_turns_of_their_video_in_the_order_of_time(
    corpus: Path, records: list[UtteranceRecord]
) -> None:
    assert [record.split for record in records] == ["train"] * 4 + ["dev", "test"]
    told = [record for record in records if record.split == "train"]
    assert [turn.utterance_id for turn in told] == [0, 1, 2, 3]
    assert [turn.text[:8] for turn in told] == ["I saw __", "And then", "Some are", "Nobody r"]
    assert {turn.speaker for turn in told} == {"aaa"}


def test_a_cut_segment_comes_before_the_whole_video(
    corpus: Path, records: list[UtteranceRecord]
) -> None:
    cut, whole = records[0], records[1]
    assert cut.path == str(corpus / "Raw/Videos/Segmented/Combined/aaa_0.mp4")
    assert (cut.start, cut.end) == (0.0, 0.75)
    assert whole.path == str(corpus / "Raw/Audio/Full/WAV_16000/aaa.wav")
    assert (whole.start, whole.end) == (2.5, 3.0)
    assert (records[5].path, records[5].end) == (None, 0.5)


def test_the_strongest_emotion_and_the_sign_of_the_sentiment_count(
    records: list[UtteranceRecord],
) -> None:
    found = ["-" if r.emotion == UNLABELLED else EMOTIONS[r.emotion] for r in records]
    assert found == ["joy", "surprise", "-", "-", "neutral", "disgust"]
    said = ["-" if r.sentiment == UNLABELLED else SENTIMENTS[r.sentiment] for r in records]
    assert said == ["negative", "positive", "negative", "-", "neutral", "negative"]


def test_the_command_names_every_fault(
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["prepare", "--cmu-mosei", str(corpus), "--out", str(tmp_path)]
    code, _, err = run(command, monkeypatch, capsys)
    assert code == 0, err
    assert len(read_index(tmp_path / "index.parquet")) == 6
    report = (tmp_path / "faults.md").read_text()
    for line in (
        "- test\n",  # of the whole split there is no media
        "- train aaa_2: sadness and anger\n",
        "- train aaa_3\n",
        "- train aaa, line 5\n",
        "- zzz\n",
    ):
        assert line in report
    kinds = ["no_clips", "no_agreement", "no_label", "bad_line", "no_split"]
    assert [line.split()[1] for line in report.splitlines() if line.startswith("## ")] == kinds


def test_a_folder_of_another_kind_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["prepare", "--out", str(tmp_path / "out"), "--cmu-mosei", str(tmp_path / "mosei")]

    def refused(words: str) -> None:
        code, _, err = run(command, monkeypatch, capsys)
        assert (code, err.count("\n")) == (1, 1), err
        assert words in err

    refused("has no Raw/Transcript/Segmented/Combined; give the folder of CMU-MOSEI")
    corpus = small_mosei(tmp_path / "mosei")
    (corpus / FOLDS).write_text("standard_train_fold = open('x').read()\n")
    refused("does not hold the lists standard_train_fold, standard_valid_fold")
    (corpus / FOLDS).unlink()
    refused("put that file of the CMU-MultimodalSDK there")
