"""`avt-memocmt evaluate --manifest` on small manifests with media of every kind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from media_factory import speech_like, write_wav
from test_predict import run

from avt_memocmt import EmotionRecognizer
from avt_memocmt.data.manifest import read_manifest
from avt_memocmt.errors import AvtError
from avt_memocmt.inference.evaluation import evaluate_manifest

HEADER = "path,text,emotion,dialogue_id,utterance_id,speaker,start,end\n"


def write_manifest(folder: Path, *lines: str, header: str = HEADER) -> Path:
    path = folder / "manifest.csv"
    path.write_text(header + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_dialogues_are_read_in_utterance_order(tmp_path: Path) -> None:
    path = write_manifest(
        tmp_path,
        ",Third,joy,1,10,,,",
        ",Alone,happy,,,,,",
        ",First,Angry,1,2,Ann,,",
        "a.wav,,sad,2,0,,1.5,3",
    )
    dialogues = read_manifest(path)
    assert [[row.text for row in rows] for rows in dialogues] == [
        ["First", "Third"],
        ["Alone"],
        [""],
    ]
    assert dialogues[0][0].emotion == 6
    assert dialogues[2][0].path == tmp_path / "a.wav"
    assert (dialogues[2][0].start, dialogues[2][0].end) == (1.5, 3.0)


@pytest.mark.parametrize(
    ("header", "line", "message"),
    [
        ("path,emotion\n", "a.wav,joy", "lacks the column text"),
        (HEADER, ",Hi,glee,,,,,", "line 2: unknown emotion 'glee'"),
        (HEADER, ",Hi,joy,,,,soon,", "line 2: start 'soon'"),
        (HEADER, "", "has no rows"),
    ],
)
def test_a_bad_manifest_is_refused_with_its_line(
    tmp_path: Path, header: str, line: str, message: str
) -> None:
    with pytest.raises(AvtError, match=message):
        read_manifest(write_manifest(tmp_path, line, header=header))


def test_figures_subsets_and_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_wav(tmp_path / "voice.wav", speech_like(1.5))
    manifest = write_manifest(
        tmp_path,
        "voice.wav,,anger,,,,,",
        "voice.wav,I am furious!,anger,,,,,",
        ",What a wonderful surprise!,joy,7,0,Ann,,",
        ",Thank you so much!,joy,7,1,Bob,,",
        "gone.wav,,sadness,,,,,",
        ",,neutral,,,,,",
    )
    figures = tmp_path / "figures.json"
    code, _, err = run(
        ["evaluate", "--manifest", str(manifest), "--json", str(figures)], monkeypatch, capsys
    )
    assert code == 1
    found = json.loads(figures.read_text(encoding="utf-8"))
    assert found["n"] == 6
    for name in ("accuracy", "weighted_f1", "macro_f1", "uar"):
        assert 0 <= found[name] <= 1
        low, high = found["intervals_95"][name]
        assert low <= found[name] <= high
    assert found["recall"]["sadness"] == found["recall"]["neutral"] == 0.0
    assert {name: part["n"] for name, part in found["subsets"].items()} == {
        "audio": 1,
        "audio+text": 1,
        "text": 2,
    }
    assert [row["line"] for row in found["failed"]] == [6, 7]
    assert "gone.wav" in err
    assert sum(map(sum, found["confusion"]["counts"])) == 4


def test_text_alone_is_understood(recognizer: EmotionRecognizer, tmp_path: Path) -> None:
    lines = {
        "joy": ["Oh my God, I'm so happy for you!", "This is so great! I love it!"],
        "anger": ["How could you do this to me! I hate you!", "Get the hell out of my house!"],
        "neutral": ["So I'll see you at six.", "The meeting is in the second room."],
    }
    rows = [f',"{text}",{name},,,,,' for name, texts in lines.items() for text in texts]
    dialogues = read_manifest(write_manifest(tmp_path, *rows))
    assert evaluate_manifest(recognizer, dialogues).report()["accuracy"] >= 5 / 6
