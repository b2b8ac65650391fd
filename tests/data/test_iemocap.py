"""`avt-memocmt prepare --iemocap` on a small tree in the corpus's layout, and its six classes."""

from __future__ import annotations

import csv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from command_line import run
from media_factory import tone, write_wav
from tiny_encoders import save_tiny_encoders

from avt_memocmt.commands.settings import resolve_config
from avt_memocmt.data.dialogue_corpora.iemocap import index_iemocap
from avt_memocmt.data.index import UNLABELLED, UtteranceRecord, index_labels, read_index
from avt_memocmt.emotions import EMOTIONS, IEMOCAP_6_LABELS
from avt_memocmt.evaluation.results_table import columns_of
from avt_memocmt.extraction.plan import ExtractionPlan, read_source, source_labels
from avt_memocmt.extraction.run import Extraction

TURNS = (
    ("F000", "neu", 6.2901, 6.7901, "Excuse me."),
    # Begins before the turn that the file has before it.
    ("M001", "exc", 5.5, 6.0, "I got it! [LAUGHTER]"),
    ("M000", "fru", 7.5712, 8.0712, "Do you have your forms?"),
    ("F001", "xxx", 9.0, 9.5, "Yeah."),
    ("F002", "hap", 10.0, 10.5, "Good."),
    ("MXX0", "oth", 11.0, 11.5, "Oh."),
    ("M002", "sad", 12.0, 12.5, "No."),
    ("F003", "ang", 13.0, 13.5, "Let me see them."),
    ("F004", "sur", 14.0, 14.5, "What?"),
)
"""The turns of every dialogue: name, code, start, end and words."""
NEUTRAL, ANGER, JOY, SADNESS = (EMOTIONS.index(n) for n in ("neutral", "anger", "joy", "sadness"))


def small_iemocap(root: Path) -> Path:
    """Five sessions with a dialogue each; the first has a second one, with faults."""
    for session in range(1, 6):
        write_dialogue(root, session, f"Ses0{session}F_impro01")
    faulty = "Ses01M_script01_1"
    write_dialogue(root, 1, faulty)
    sounds = root / "Session1" / "sentences" / "wav" / faulty
    (sounds / f"{faulty}_F000.wav").unlink()
    (sounds / f"{faulty}_M000.wav").write_bytes(b"RIFF no sound")
    (root / "Session1" / "dialog" / "transcriptions" / f"{faulty}.txt").unlink()
    evaluations = root / "Session1" / "dialog" / "EmoEvaluation"
    (evaluations / "._Ses01F_impro01.txt").write_bytes(bytes(100))
    return root


def write_dialogue(root: Path, session: int, name: str) -> None:
    """Write one dialogue as the release has it."""
    folder = root / f"Session{session}"
    sounds = folder / "sentences" / "wav" / name
    rated, said = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n"], []
    for turn, code, start, end, words in TURNS:
        rated.append(f"[{start:.4f} - {end:.4f}]\t{name}_{turn}\t{code}\t[2.5000, 2.5000, 2.5000]")
        rated.append("C-E2:\tNeutral;\t()\nA-E3:\tval 3; act 2; dom  2;\t()\n")
        said.append(f"{name}_{turn} [{start:08.4f}-{end:08.4f}]: {words}")
    said.append("M: a line without times")
    for part, lines in (("EmoEvaluation", rated), ("transcriptions", said)):
        (folder / "dialog" / part).mkdir(parents=True, exist_ok=True)
        path = folder / "dialog" / part / f"{name}.txt"
        path.write_text("\n".join(lines) + "\n", newline="\r\n" if part == "EmoEvaluation" else "")
    sounds.mkdir(parents=True)
    for turn, *_ in TURNS:
        write_wav(sounds / f"{name}_{turn}.wav", tone(0.5))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_iemocap(tmp_path_factory.mktemp("iemocap"))


@pytest.fixture(scope="module")
def records(corpus: Path) -> list[UtteranceRecord]:
    return index_iemocap(corpus, 4, 5).records


def of_dialogue(records: list[UtteranceRecord], number: int) -> list[UtteranceRecord]:
    return [record for record in records if record.dialogue_id == number]


def test_an_utterance_has_its_words_sound_speaker_and_place(
    corpus: Path, records: list[UtteranceRecord]
) -> None:
    turns = of_dialogue(records, 0)
    assert [turn.utterance_id for turn in turns] == list(range(9))
    assert [turn.text for turn in turns[:2]] == ["I got it!", "Excuse me."]
    # The letter of the dialogue is who wears the markers; the turn's says who speaks.
    speakers = [turn.speaker for turn in turns]
    assert speakers[:3] == ["Ses01M", "Ses01F", "Ses01M"]
    assert set(speakers) == {"Ses01F", "Ses01M"}
    sound = corpus / "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav"
    assert turns[1].path == str(sound)
    assert (turns[1].start, turns[1].end) == (0.0, pytest.approx(0.5))


def test_four_classes_are_of_the_seven(records: list[UtteranceRecord]) -> None:
    found = [turn.emotion for turn in of_dialogue(records, 0)]
    none = UNLABELLED
    assert found == [JOY, NEUTRAL, none, none, JOY, none, SADNESS, ANGER, none]
    flags = [turn.flags for turn in of_dialogue(records, 0)]
    assert flags[3] == ("no_agreement",)
    assert flags[2] == flags[5] == flags[8] == ("other_label",)


def test_six_classes_are_labels_of_their_own(corpus: Path) -> None:
    index = index_iemocap(corpus, 6, 5)
    assert index.labels == IEMOCAP_6_LABELS
    found = [turn.emotion for turn in of_dialogue(index.records, 0)]
    names = ["-" if label == UNLABELLED else index.labels[label] for label in found]
    assert names == ["excited", "neutral", "frustrated", "-", "happy", "-", "sad", "angry", "-"]


@pytest.mark.parametrize(("test", "dev"), [(1, 2), (3, 4), (5, 1)])
def test_one_session_is_test_the_next_is_dev_and_no_speaker_is_in_two(
    corpus: Path, test: int, dev: int
) -> None:
    people: dict[str, set[str]] = {}
    for record in index_iemocap(corpus, 4, test).records:
        people.setdefault(record.split, set()).add(str(record.speaker)[:5])
    assert people["test"] == {f"Ses0{test}"}
    assert people["dev"] == {f"Ses0{dev}"}
    assert people["train"] == {f"Ses0{n}" for n in range(1, 6) if n not in (test, dev)}


def test_the_film_shows_where_in_it_an_utterance_is(tmp_path: Path) -> None:
    corpus = small_iemocap(tmp_path)
    film = corpus / "Session2/dialog/avi/DivX/Ses02F_impro01.avi"
    film.parent.mkdir(parents=True)
    write_wav(film, tone(15.0))
    index = index_iemocap(corpus, 4, 5, film=True)
    told = [record for record in index.records if record.path is not None]
    assert {record.speaker for record in told} == {"Ses02F", "Ses02M"}
    assert {record.path for record in told} == {str(film)}
    assert (told[1].start, told[1].end) == (6.2901, 6.7901)
    lost = next(record for record in index.records if record.speaker == "Ses03F")
    assert (lost.start, lost.end) == (0.0, pytest.approx(0.5))


def test_the_command_writes_the_index_and_names_every_fault(
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["prepare", "--iemocap", str(corpus), "--classes", "6", "--test-session", "5"]
    code, out, err = run(command, monkeypatch, capsys)
    assert (code, "no_agreement" in out) == (0, True), err
    index = tmp_path / "prepared" / "iemocap" / "index.parquet"
    labels = index_labels(index)
    assert labels == IEMOCAP_6_LABELS
    assert len(read_index(index, labels)) == 6 * len(TURNS)
    report = (index.parent / "faults.md").read_text()
    # The faulty dialogue is in session 1, which is dev here.
    assert "- dev Ses01M_script01_1_F000\n" in report.split("## missing (1)")[1]
    assert "- dev Ses01M_script01_1_M000: " in report.split("## undecodable (1)")[1]
    assert f"## no_words ({len(TURNS)})" in report
    assert "- train Ses02F_impro01_F001: xxx\n" in report.split("## no_agreement (6)")[1]
    assert "- test Ses05F_impro01_MXX0: oth\n" in report


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--classes", "5", "--test-session", "1"], "--classes of IEMOCAP is 4 or 6"),
        (["--test-session", "1"], "--classes of IEMOCAP is 4 or 6"),
        (["--classes", "4", "--test-session", "6"], "a number from 1 to 5"),
        (["--classes", "4"], "a number from 1 to 5"),
        (["--classes", "4", "--test-session", "1", "--meld", "x"], "give one of --meld, --iemo"),
        (["--classes", "4", "--test-session", "1", "--drop-leaks"], "belong to --meld"),
        (["--classes", "4", "--test-session", "1"], "has no Session1/dialog/EmoEvaluation"),
    ],
)
def test_a_mistake_is_one_sentence(
    tmp_path: Path,
    options: list[str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["prepare", "--out", str(tmp_path / "out"), "--iemocap", str(tmp_path)]
    code, _, err = run([*command, *options], monkeypatch, capsys)
    assert (code, err.count("\n")) == (1, 1), err
    assert words in err


def test_six_classes_from_the_tree_to_the_table(
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def succeed(*arguments: str) -> str:
        code, out, err = run(list(arguments), monkeypatch, capsys)
        assert code == 0, err
        return out

    monkeypatch.chdir(tmp_path)
    save_tiny_encoders(Path("tiny"))
    task = ("--classes", "6", "--test-session", "5", "--out", "prepared")
    succeed("prepare", "--iemocap", str(corpus), *task)
    nothing = ["extract", "prepared/index.parquet", "--out", "store", "--split", "x"]
    _, _, err = run([*nothing, "--preset", "embedded"], monkeypatch, capsys)
    assert "has no utterances of x; splits: dev, test, train" in err
    embedded = ("--preset", "embedded", "--encoders", "tiny")
    heard = "model.modalities=[audio,text]"
    config = resolve_config(preset="embedded", encoders=Path("tiny"), overrides=[heard])
    # What the command does, but for its processes, which take seconds to start.
    labels = source_labels(Path("prepared/index.parquet"))
    plan = ExtractionPlan.of(read_source(Path("prepared/index.parquet"), None, labels), labels)
    with ThreadPoolExecutor(1) as pool:
        failures = Extraction(plan, config, None, Path("store")).run_in(pool)
    assert [failure.key.split for failure in failures] == ["dev", "dev"]
    small = "model.dim=16 model.heads=2 model.feed_forward=16 training.epochs=1"
    settings = [part for setting in (*small.split(), heard) for part in ("--set", setting)]
    succeed("train", "--features", "store", "--out", "run", *embedded, *settings)
    assert yaml.safe_load(Path("run/config.yaml").read_text())["labels"] == list(IEMOCAP_6_LABELS)
    of_test = ("--split", "test", "--experiments")
    measure = ("evaluate-features", "store", "--checkpoint", "run", *of_test)
    assert "n = 6, failed = 0, unlabelled = 3" in succeed(*measure, "figures")
    with Path("figures/results.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    recalls = {n.removeprefix("recall_"): row[n] for n in row if n.startswith("recall_")}
    assert tuple(recalls) == IEMOCAP_6_LABELS
    assert all(recalls.values())
    assert float(row["uar"]) == pytest.approx(sum(map(float, recalls.values())) / 6, abs=1e-5)
    # A table is of one set of classes.
    Path("seven").mkdir()
    Path("seven/results.csv").write_text(_of_seven(row))
    code, _, err = run([*measure, "seven"], monkeypatch, capsys)
    assert (code, "is of other classes (it has no recall_happy)" in err) == (1, True), err
    clip = corpus / "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav"
    for command in (
        ["predict", str(clip), "--checkpoint", "run"],
        ["explain", "--features", "store", "--checkpoint", "run"],
        ["export", "--checkpoint", "run", "--out", "graphs"],
    ):
        code, _, err = run(command, monkeypatch, capsys)
        assert (code, err.count("\n")) == (1, 1), err
        assert "run tells happy, sad, neutral, angry, excited, frustrated apart" in err
    for command in (
        ["reproduce", "--index", "prepared/index.parquet", "--features", "store"],
        ["evaluate-features", "store", "--checkpoint", "embedded", "--experiments", "x"],
    ):
        code, _, err = run(command, monkeypatch, capsys)
        assert (code, "the labels happy, sad, neutral" in err) == (1, True), err


def _of_seven(row: dict[str, str]) -> str:
    """A results.csv with the columns of the seven emotions and one row like `row`."""
    columns = columns_of(EMOTIONS)
    return f"{','.join(columns)}\n{','.join(row.get(name, '') for name in columns)}\n"
