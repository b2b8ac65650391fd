"""Robustness: the damage of each condition, resuming, parity with `evaluate`, the three files."""

from __future__ import annotations

import csv
import io
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import run
from media_factory import speech_like, tone, write_wav
from PIL import Image

from avt_memocmt import EmotionRecognizer
from avt_memocmt.data.manifest import read_manifest
from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.errors import AvtError
from avt_memocmt.evaluation.on_manifest import evaluate_manifest
from avt_memocmt.metrics.scores import FAILED
from avt_memocmt.preprocessing.face_detectors import make_detector
from avt_memocmt.robustness.conditions import (
    Condition,
    Trial,
    face_conditions,
    make_trials,
    removals,
    sound_conditions,
)
from avt_memocmt.robustness.on_pool import ConditionTask, answer_in
from avt_memocmt.robustness.run import RobustnessRun, recognize
from avt_memocmt.robustness.samples import (
    Sample,
    face_samples,
    meetings,
    sound_samples,
)
from avt_memocmt.robustness.tables import COLUMNS

JOY, ANGER = EMOTIONS.index("joy"), EMOTIONS.index("anger")
CLEAN = Condition("clean")


def noise_picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(256, size=(48, 48)).astype(np.uint8)


def sample(number: int, emotion: int = ANGER) -> Sample:
    """Voice, face and words."""
    sound = speech_like(0.4 + 0.1 * number)
    return Sample(f"clip {number}", emotion, "", sound, noise_picture(number), "I hate this!")


def trial(*samples: Sample, conditions: tuple[Condition, ...] = (CLEAN,)) -> Trial:
    return Trial("a trial", "", list(samples), list(conditions), [])


@pytest.fixture
def small_corpora(tmp_path: Path) -> Path:
    """RAVDESS, FER+ and MELD with a handful of rows; one RAVDESS clip is broken, one silent."""
    voices = tmp_path / "ravdess"
    voices.mkdir()
    for actor in range(1, 8):
        write_wav(voices / f"03-01-05-01-01-01-{actor:02d}.flac", speech_like(0.5))
    write_wav(voices / "03-01-05-01-01-01-16.flac", speech_like(0.6))
    write_wav(voices / "03-01-03-01-01-01-17.flac", speech_like(0.4))
    write_wav(voices / "03-01-03-01-01-02-17.flac", tone(0.4, level=0.0))
    (voices / "03-01-03-01-01-01-18.flac").write_bytes(b"no sound")
    (tmp_path / "ferplus").mkdir()
    votes = [[0, 9, 0, 0, 1, 0, 0, 0, 0, 0], [0, 0, 1, 0, 8, 0, 0, 1, 0, 0], [0] * 7 + [8, 1, 1]]
    rows = {"name": ["a", "b", "c"], "png": [png(n) for n in range(3)], "votes": votes}
    pq.write_table(pa.table(rows), tmp_path / "ferplus" / "valid.parquet")
    (tmp_path / "meld").mkdir()
    (tmp_path / "meld" / "dev_sent_emo.csv").write_text(
        "Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"
        'Oh my God!,Ann,joy,0,0,1,1,"00:00:01,000","00:00:02,000"\n'
        'Get out!,Bob,anger,0,1,1,1,"00:00:03,000","00:00:04,000"\n',
        encoding="utf-8",
    )
    return tmp_path


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(noise_picture(seed)).save(buffer, "PNG")
    return buffer.getvalue()


def test_the_noise_of_a_sample_is_the_same_whatever_is_measured_beside_it() -> None:
    voices = [speech_like(0.5), *(tone(0.5, 200 + 50 * n) for n in range(5))]
    for condition in (*sound_conditions(voices), *face_conditions()):
        long = trial(sample(0), sample(1), sample(2)).damaged(condition)
        short = trial(sample(0), sample(1)).damaged(condition)
        assert np.array_equal(long[1].sound, short[1].sound)
        assert np.array_equal(long[1].picture, short[1].picture)


def test_each_condition_damages_its_own_modality_by_its_own_strength() -> None:
    clean = trial(sample(0))
    voices = [speech_like(0.5), *(tone(0.5, 200 + 50 * n) for n in range(5))]
    powers = []
    for condition in sound_conditions(voices):
        (damaged,) = clean.damaged(condition)
        assert damaged.picture is clean.samples[0].picture
        powers.append(np.mean((damaged.sound - clean.samples[0].sound) ** 2))
    assert np.diff(10 * np.log10(powers[:3])) == pytest.approx([10, 10], abs=0.1)
    pictures = [clean.damaged(condition)[0].picture for condition in face_conditions()]
    assert len({picture.tobytes() for picture in pictures}) == len(pictures) == 6


def test_removals_leave_what_their_names_say() -> None:
    left = {}
    for condition in removals():
        (found,) = trial(sample(0)).damaged(condition)
        present = (found.sound is not None, found.picture is not None, found.words != "")
        left[condition.name] = "".join(m for m, p in zip("AVT", present, strict=True) if p)
    assert left == {
        "without sound": "VT",
        "without face": "AT",
        "without words": "AV",
        "sound alone": "A",
        "face alone": "V",
        "words alone": "T",
    }


def test_meetings_have_one_label_and_leave_out_what_cannot_meet() -> None:
    sounds = [
        Sample("heard", JOY, sound=tone(0.2)),
        Sample("unreadable", JOY),
        Sample("no such face", ANGER, sound=tone(0.2)),
    ]
    faces = [Sample(str(e), e, picture=noise_picture(e)) for e in (JOY, 0)]
    lines = [Sample("line", e, words=EMOTIONS[e]) for e in (JOY, ANGER)]
    (met,) = meetings(sounds, faces, lines)
    assert (met.name, met.emotion, met.words) == ("heard", JOY, "joy")
    assert np.array_equal(met.picture, noise_picture(JOY))


def test_a_sample_that_holds_nothing_is_an_error(recognizer: EmotionRecognizer) -> None:
    detector = make_detector(recognizer.config.visual.detector)
    assert recognize(recognizer, detector, Sample("gone", JOY)) == (FAILED, ())
    predicted, warnings = recognize(recognizer, detector, sample(0))
    assert predicted != FAILED
    assert list(warnings) == ["image_used_as_face"]


def test_clean_samples_are_recognised_as_evaluate_does(
    recognizer: EmotionRecognizer, data_dir: Path, tmp_path: Path
) -> None:
    sounds, failures = sound_samples(data_dir, recognizer.config, 6)
    faces = face_samples(data_dir, 10)
    assert not failures
    lines = [f"{(data_dir / 'ravdess' / s.name).resolve()},,{EMOTIONS[s.emotion]}" for s in sounds]
    for number, face in enumerate(faces):
        Image.fromarray(face.picture).save(tmp_path / f"{number}.png")
        lines.append(f"{number}.png,,{EMOTIONS[face.emotion]}")
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("path,text,emotion\n" + "\n".join(lines), encoding="utf-8")
    expected = evaluate_manifest(recognizer, read_manifest(manifest)).predicted
    detector = make_detector(recognizer.config.visual.detector)
    predicted = [recognize(recognizer, detector, sample)[0] for sample in (*sounds, *faces)]
    assert predicted == list(expected)
    assert len(set(predicted)) > 2


def test_only_what_changed_is_recognised_again(
    recognizer: EmotionRecognizer, tmp_path: Path
) -> None:
    def measure(*samples: Sample, checkpoint: str = "abc") -> dict[str, int]:
        """Measure, and say when each condition's answers were written."""
        RobustnessRun(recognizer, checkpoint, tmp_path).measure(
            trial(*samples, conditions=(CLEAN, *removals()[:2]))
        )
        return {path.stem: path.stat().st_mtime_ns for path in tmp_path.glob("*.json")}

    first = measure(sample(0), sample(1))
    assert set(first) == {"a-trial.clean", "a-trial.without-sound", "a-trial.without-face"}
    assert measure(sample(0), sample(1)) == first
    (tmp_path / "a-trial.without-face.json").write_text('{"predicted": [1', encoding="utf-8")
    second = measure(sample(0), sample(1))
    assert {name for name in first if first[name] != second[name]} == {"a-trial.without-face"}
    for changed in (measure(sample(0), sample(2)), measure(sample(0), sample(2), checkpoint="d")):
        assert all(changed[name] != second[name] for name in second)
        second = changed


def test_answers_from_a_pool_are_those_of_one_process(
    recognizer: EmotionRecognizer, small_corpora: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "answers"
    folder.mkdir()
    trials = make_trials(small_corpora, recognizer.config, 4)[:2]
    task = ConditionTask(
        EmotionRecognizer.from_pretrained, "embedded", "abc", small_corpora, 4, folder
    )
    shown: list[int] = []
    with ThreadPoolExecutor(1) as pool:
        answer_in(pool, pickle.loads(pickle.dumps(task)), trials, shown.append)
    assert sum(shown) == sum(len(trial.samples) * len(trial.conditions) for trial in trials)
    written = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert len(written) == sum(len(trial.conditions) for trial in trials)
    run = RobustnessRun(recognizer, "abc", folder)
    clean = run.measure(trials[1])[0].answers
    assert written == {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    detector = make_detector(recognizer.config.visual.detector)
    assert clean.predicted == [recognize(recognizer, detector, s)[0] for s in trials[1].samples]


def test_changes_are_differences_from_the_first_condition(
    recognizer: EmotionRecognizer, tmp_path: Path
) -> None:
    unreadable = Condition("removed", lambda s, generator: Sample(s.name, s.emotion))
    run = RobustnessRun(recognizer, "abc", tmp_path)
    truth = [sample(n) for n in range(4)]
    clean, removed = run.measure(trial(*truth, conditions=(CLEAN, unreadable)))
    assert clean.changes == {}
    assert removed.answers.predicted == [FAILED] * 4
    assert removed.scores["accuracy"] == 0.0
    assert removed.changes["accuracy"].difference == -clean.scores["accuracy"]


def test_the_command_writes_table_summary_and_picture(
    small_corpora: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "experiments"
    arguments = ["robustness", "--data", str(small_corpora), "--experiments", str(out)]
    code, _, err = run(arguments, monkeypatch, capsys)
    assert code == 1
    assert "failed: 03-01-03-01-01-01-18.flac" in err
    with (out / "robustness.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [row["trial"] for row in rows].count("RAVDESS sound") == 7
    assert [row["trial"] for row in rows].count("synthetic meetings") == 7
    for row in rows:
        assert row["failed"] == ("2" if row["trial"] == "RAVDESS sound" else "0")
        assert (row["uar_change"] == "") == (row["condition"] in ("clean", "sound, face and words"))
        assert float(row["uar_low"]) <= float(row["uar_high"])
    assert {row["n"] for row in rows if row["trial"] != "RAVDESS sound"} == {"2"}
    summary = (out / "robustness.md").read_text(encoding="utf-8")
    for text in ("03-01-03-01-01-01-18.flac", "no audible sound", "30 % occluded", "SNR 0 dB"):
        assert text in summary
    with Image.open(out / "robustness.png") as picture:
        assert picture.width > 1000
    answers = json.loads((out / "robustness" / "fer-faces.clean.json").read_text())
    assert len(answers["predicted"]) == 2


def test_too_few_voices_for_babble_are_refused(
    recognizer: EmotionRecognizer, small_corpora: Path
) -> None:
    for actor in (1, 2):
        (small_corpora / "ravdess" / f"03-01-05-01-01-01-{actor:02d}.flac").unlink()
    with pytest.raises(AvtError, match=r"has 5 readable clips .* babble needs 6"):
        make_trials(small_corpora, recognizer.config, 10)
