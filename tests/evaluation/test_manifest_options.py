"""`evaluate --manifest` with baselines of speakers and with groups of rows, on a tiny network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import run
from manifest_factory import write_manifest
from media_factory import speech_like, write_wav
from PIL import Image
from tiny_network import save_tiny_network

from avt_memocmt.data.baseline_scope import BaselineScope
from avt_memocmt.data.manifest import ManifestRow, read_manifest
from avt_memocmt.data.speaker_baselines import token_statistics
from avt_memocmt.evaluation.by_column import figures_by_value
from avt_memocmt.evaluation.on_manifest import evaluate_manifest
from avt_memocmt.inference.dialogue import DialogueReader, PreparedTurn
from avt_memocmt.inference.engine import load_torch
from avt_memocmt.inference.recognizer import Recognizer
from avt_memocmt.inference.results import UtterancePrediction
from avt_memocmt.metrics.scores import FAILED

HEADER = "path,text,emotion,dialogue_id,utterance_id,speaker,age,film\n"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with random weights on tiny encoders of sound, faces and words."""
    return save_tiny_network(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Ann is heard three times in two dialogues, seen twice, and one file of hers is gone."""
    generator = np.random.default_rng(0)
    for name, seed in (("a", 1), ("b", 2), ("c", 3), ("d", 4)):
        sound = speech_like(0.6) * np.random.default_rng(seed).uniform(0.2, 1)
        write_wav(tmp_path / f"{name}.wav", sound.astype(np.float32))
    for name in ("e", "f"):
        picture = generator.integers(0, 255, (60, 60, 3)).astype(np.uint8)
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    return write_manifest(
        tmp_path,
        "a.wav,What?,joy,1,0,Ann,old,1",
        "b.wav,No!,anger,1,1,Bob,old,1",
        "gone.wav,,anger,1,2,Ann,young,2",
        "c.wav,No!,joy,1,3,Ann,young,2",
        "d.wav,,joy,2,0,Ann,,2",
        "e.png,,joy,,,Ann,young,2",
        "f.png,,fear,,,Ann,young,2",
        "d.wav,,joy,,,,old,2",
        header=HEADER,
    )


class RecordingReader(DialogueReader):
    """Keeps the turns that it decides on."""

    def __init__(self, recognizer: Recognizer, turns: list[PreparedTurn]) -> None:
        super().__init__(recognizer.engine, recognizer.config)
        self._turns = turns

    def decide(self, turn: PreparedTurn) -> UtterancePrediction:
        self._turns.append(turn)
        return super().decide(turn)


class RecordingRecognizer(Recognizer):
    def __init__(self, folder: Path) -> None:
        super().__init__(*load_torch(folder))
        self.turns: list[PreparedTurn] = []

    def new_dialogue(self) -> RecordingReader:
        return RecordingReader(self, self.turns)


def decided(checkpoint: Path, manifest: Path, scope: BaselineScope) -> list[PreparedTurn]:
    """The seven turns that were decided on for the figures, in order."""
    recognizer = RecordingRecognizer(checkpoint)
    evaluate_manifest(recognizer, read_manifest(manifest), speaker_baseline=scope)
    assert len(recognizer.turns) == (7 if scope in ("off", "past") else 14)
    return recognizer.turns[-7:]


def counts(turns: list[PreparedTurn], modality: str) -> list[int]:
    own = [turn.baselines.get(modality) for turn in turns]
    return [0 if baseline is None else baseline.count for baseline in own]


@pytest.mark.parametrize(
    ("scope", "audio", "visual"),
    [
        ("off", [0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0]),
        ("past", [0, 0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0]),
        ("all", [2, 0, 2, 2, 0, 0, 0], [0, 0, 0, 0, 1, 1, 0]),
        (1, [1, 0, 1, 1, 0, 0, 0], [0, 0, 0, 0, 1, 1, 0]),
    ],
)
def test_rows_are_judged_against_their_speakers_other_rows(
    checkpoint: Path, manifest: Path, scope: BaselineScope, audio: list[int], visual: list[int]
) -> None:
    turns = decided(checkpoint, manifest, scope)
    assert counts(turns, "audio") == audio
    assert counts(turns, "visual") == visual
    if scope == "all":
        others = [token_statistics(turns[i].tokens["audio"]) for i in (0, 3)]
        own = turns[2].baselines["audio"].statistics
        np.testing.assert_allclose(own, np.mean(others, axis=0), atol=1e-5)
        face = token_statistics(turns[5].tokens["visual"])
        np.testing.assert_allclose(turns[4].baselines["visual"].statistics, face, atol=1e-5)


def measured(
    checkpoint: Path,
    manifest: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *options: str,
) -> tuple[int, dict[str, Any], str, str]:
    figures = manifest.parent / "figures.json"
    arguments = ["evaluate", "--manifest", str(manifest), "--checkpoint", str(checkpoint)]
    code, out, err = run([*arguments, "--json", str(figures), *options], monkeypatch, capsys)
    found = json.loads(figures.read_text(encoding="utf-8")) if figures.is_file() else {}
    return code, found, out, err


def test_the_scope_changes_the_figures_and_is_named_in_them(
    checkpoint: Path,
    manifest: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sure = {}
    for scope in ("off", "past", "all", "1"):
        code, found, _, _ = measured(
            checkpoint, manifest, monkeypatch, capsys, "--speaker-baseline", scope
        )
        assert code == 1
        assert [row["line"] for row in found["failed"]] == [4]
        sure[scope] = found["mean_confidence"]
        assert found["context"] == "past-only" + (
            "" if scope == "past" else f", speaker baseline {scope}"
        )
    _, found, _, _ = measured(checkpoint, manifest, monkeypatch, capsys)
    assert found["mean_confidence"] == sure["past"]
    assert len(set(sure.values())) == 4


@pytest.mark.parametrize("command", ["evaluate", "evaluate-manifest", "evaluate-features"])
@pytest.mark.parametrize("scope", ["most", "0", "-3"])
def test_a_wrong_scope_is_wrong_usage(
    command: str, scope: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = ["--manifest", "x"] if command == "evaluate" else ["x"]
    arguments = [command, *source, "--checkpoint", "y", "--speaker-baseline", scope]
    code, _, err = run(arguments, monkeypatch, capsys)
    assert code == 2
    assert "give off, past, all, or how many" in " ".join(err.replace("│", " ").split())


def test_what_the_manifest_lacks_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nameless = write_manifest(tmp_path, ",Hi.,joy,,,,,")
    gone = tmp_path / "gone"
    for options, message in (
        (["--speaker-baseline", "all"], "baseline all needs the column speaker"),
        (["--speaker-baseline", "2"], "baseline 2 needs the column speaker"),
        (
            ["--by", "mood"],
            "no column 'mood'; its columns are path, text, emotion, dialogue_id, utterance_id, "
            "speaker, start, end.",
        ),
    ):
        code, _, _, err = measured(gone, nameless, monkeypatch, capsys, *options)
        assert code == 1
        assert message in err
    code, _, err = run(["evaluate", "--features", "x", "--by", "age"], monkeypatch, capsys)
    assert (code, "--by belongs to --manifest" in err) == (1, True)


def test_figures_are_given_by_the_values_of_columns(
    checkpoint: Path,
    manifest: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ["--by", "age", "--by", "film", "--by", "speaker"]
    _, found, out, _ = measured(checkpoint, manifest, monkeypatch, capsys, *options)
    assert set(found["by"]) == {"age", "film", "speaker"}
    ages = found["by"]["age"]["values"]
    assert {value: part["n"] for value, part in ages.items()} == {"old": 3, "young": 4}
    assert set(found["by"]["speaker"]["values"]) == {"Ann", "Bob"}
    films = found["by"]["film"]["values"]
    whole = sum(part["n"] * part["accuracy"] for part in films.values())
    assert whole / found["n"] == pytest.approx(found["accuracy"])
    assert found["by"]["age"]["gap"] is None, "no age has 20 rows"
    assert "accuracy where age is old, n = 3" in out


def rows_of(values: dict[str, tuple[int, int]]) -> tuple[list[str], Any, Any]:
    """Rows of each value, and how many of them are right."""
    column = [value for value, (n, _) in values.items() for _ in range(n)]
    predicted = [3 if i < right else FAILED for n, right in values.values() for i in range(n)]
    return column, np.full(len(column), 3), np.array(predicted)


def test_the_gap_is_between_values_with_enough_rows() -> None:
    found = figures_by_value(
        *rows_of({"a": (20, 15), "b": (40, 10), "c": (19, 0), "d": (25, 25), "": (30, 0)})
    )
    assert found["values"]["b"] == {"n": 40, "accuracy": 0.25, "uar": 0.25}
    assert set(found["values"]) == {"a", "b", "c", "d"}
    assert found["gap"] == 0.75
    assert figures_by_value(*rows_of({"a": (20, 15), "c": (19, 0)}))["gap"] is None


def test_cells_of_a_manifest_are_kept(manifest: Path) -> None:
    rows: list[ManifestRow] = [row for turns in read_manifest(manifest) for row in turns]
    assert rows[0].cells["age"] == "old"
    assert [row.cells["film"] for row in rows] == ["1", "1", *"222222"]
