"""What `predict` judges an utterance against, on a tiny network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import run
from media_factory import speech_like, write_wav
from tiny_network import save_tiny_network

from avt_memocmt import EmotionRecognizer
from avt_memocmt.data.baseline_scope import NamedScope
from avt_memocmt.data.speaker_baselines import token_statistics
from avt_memocmt.inference.dialogue import DialogueReader, PreparedTurn
from avt_memocmt.inference.engine import load_torch
from avt_memocmt.inference.recognizer import Recognizer
from avt_memocmt.inference.results import UtterancePrediction
from avt_memocmt.preprocessing.transcripts import Cue

CUES = [
    Cue("What?", 0.0, 0.9, "Ann"),
    Cue("No!", 1.0, 1.9, "Ann"),
    Cue("Yes.", 2.0, 2.9, "Bob"),
    Cue("So bad.", 3.0, 3.9, "Ann"),
]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_network(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    parts = [speech_like(1.0) * level for level in (0.2, 0.9, 0.5, 0.4)]
    return write_wav(tmp_path_factory.mktemp("talk") / "talk.wav", np.concatenate(parts))


class RecordingRecognizer(Recognizer):
    """Keeps the turns that it decides on."""

    def __init__(self, folder: Path) -> None:
        super().__init__(*load_torch(folder))
        self.turns: list[PreparedTurn] = []

    def new_dialogue(self) -> DialogueReader:
        turns = self.turns

        class Reader(DialogueReader):
            def decide(self, turn: PreparedTurn) -> UtterancePrediction:
                turns.append(turn)
                return super().decide(turn)

        return Reader(self.engine, self.config)


def decided(
    checkpoint: Path, talk: Path, scope: NamedScope, cues: Sequence[Cue] = CUES
) -> list[PreparedTurn]:
    """The turns of every reading."""
    recognizer = RecordingRecognizer(checkpoint)
    recognizer.predict(talk, cues, speaker_baseline=scope, speakers="off")
    return recognizer.turns


def counts(turns: list[PreparedTurn]) -> list[int]:
    return [t.baselines["audio"].count if "audio" in t.baselines else 0 for t in turns]


def test_an_utterance_is_judged_against_what_was_asked_for(checkpoint: Path, talk: Path) -> None:
    assert counts(decided(checkpoint, talk, "off")) == [0, 0, 0, 0]
    assert counts(decided(checkpoint, talk, "past")) == [0, 1, 0, 2]
    turns = decided(checkpoint, talk, "all")
    assert counts(turns) == [0, 0, 0, 0, 2, 2, 0, 2]
    others = [token_statistics(turn.tokens["audio"]) for turn in (turns[5], turns[7])]
    own = turns[4].baselines["audio"].statistics
    np.testing.assert_allclose(own, np.mean(others, axis=0), atol=1e-4)


def test_without_speakers_nothing_changes_and_the_file_is_read_once(
    checkpoint: Path, talk: Path
) -> None:
    nameless = [Cue(cue.text, cue.start, cue.end) for cue in CUES]
    assert counts(decided(checkpoint, talk, "all", nameless)) == [0, 0, 0, 0]
    recognizer = EmotionRecognizer.from_pretrained(checkpoint)
    past, everything = (
        recognizer.predict(talk, nameless, speaker_baseline=scope, speakers="off")
        for scope in ("past", "all")
    )
    assert past == everything


def test_the_command_takes_the_scope(
    checkpoint: Path,
    talk: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    captions = tmp_path / "talk.vtt"
    lines = (f"00:00:0{c.start:.3f} --> 00:00:0{c.end:.3f}\n<v {c.speaker}>{c.text}" for c in CUES)
    captions.write_text("WEBVTT\n\n" + "\n\n".join(lines) + "\n", encoding="utf-8")
    arguments = ["predict", str(talk), "--transcript", str(captions), "--json"]
    arguments += ["--checkpoint", str(checkpoint)]

    def predicted(*options: str) -> list[Any]:
        code, out, err = run([*arguments, *options], monkeypatch, capsys)
        assert code == 0, err
        return [turn["probabilities"] for turn in json.loads(out)["utterances"]]

    past, everything = predicted(), predicted("--speaker-baseline", "all")
    assert predicted("--speaker-baseline", "past") == past
    assert everything[0] != past[0], "what comes later counts"
    assert predicted("--speaker-baseline", "off")[0] == past[0], "the first has no past"
    assert predicted("--speaker-baseline", "off")[1] != past[1]
    code, _, err = run([*arguments, "--speaker-baseline", "3"], monkeypatch, capsys)
    assert code == 2
    assert "'off', 'past', 'all'" in err
