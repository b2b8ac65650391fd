"""`avt-memocmt explain` end to end: real clips, what is absent, and every kind of wrong usage."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from command_line import run
from footage import Spoken
from media_factory import speech_like, write_wav
from page_reader import Page
from PIL import Image

from avt_memocmt import EmotionRecognizer
from avt_memocmt.cli import main
from avt_memocmt.config_file import load_config
from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.errors import AvtError
from avt_memocmt.explainability.explanation import (
    ExplainingRecognizer,
    ExplainSettings,
    MediaExplanation,
)
from avt_memocmt.inference.results import to_json
from avt_memocmt.models.checkpoint import build_model, checkpoint_folder, save_checkpoint
from avt_memocmt.preprocessing.transcripts import load_transcript
from avt_memocmt.report.explanation_folder import write_explanation

CAPTIONS = """1
00:00:00,000 --> 00:00:01,400
ANN: {}

2
00:00:01,400 --> 00:00:03,000
BOB: {}
"""


@pytest.fixture(scope="module")
def folder(talking_clip: Spoken, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of one run, on the second of two utterances, beside its transcript."""
    folder = tmp_path_factory.mktemp("explained")
    said = talking_clip.words.split()
    captions = CAPTIONS.format(" ".join(said[:2]), " ".join(said[2:]))
    (folder / "words.srt").write_text(captions, encoding="utf-8")
    clip, words = str(talking_clip.path), str(folder / "words.srt")
    options = ["--out", str(folder), "--transcript", words, "--utterances", "2"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["avt-memocmt", "explain", clip, *options])
        with pytest.raises(SystemExit) as stop:
            main()
    assert not stop.value.code
    return folder


def test_the_predictions_are_those_of_predict(
    folder: Path, recognizer: EmotionRecognizer, talking_clip: Spoken
) -> None:
    plain = recognizer.predict(talking_clip.path, load_transcript(str(folder / "words.srt")))
    assert json.loads((folder / "predictions.json").read_text()) == [to_json(plain)]


def test_only_the_utterance_asked_for_is_explained_with_all_its_numbers(
    folder: Path, talking_clip: Spoken
) -> None:
    (item,) = json.loads((folder / "explanation.json").read_text())["utterances"]
    assert item["number"] == 2
    assert item["words"] == talking_clip.words.split()[2:]
    assert item["explained"] == item["likeliest"]
    assert set(item["attributions"]) == {"audio", "visual", "text"}
    assert len(item["attributions"]["visual"]["scores"]) == len(item["faces"])
    assert len(item["attention"]["maps"]) == 6
    assert sum(m["rollout"] for m in item["modalities"].values()) == pytest.approx(1, abs=1e-4)
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert "Explained: 1 of 2." in page.text
    assert f"Utterance 2, 1.4–3.0 s: why {item['explained']}?" in page.text
    words = item["attributions"]["text"]["scores"]
    assert f"“{item['words'][int(np.argmax(words))]}”" in page.text


def test_figures_faces_and_film_are_whole(folder: Path) -> None:
    (item,) = json.loads((folder / "explanation.json").read_text())["utterances"]
    figures = {path.name for path in (folder / "attention_maps").iterdir()}
    names = ("utterance_2_attention", "utterance_2_composite")
    assert figures == {f"{name}{suffix}" for name in names for suffix in (".png", ".svg")}
    for path in (folder / "attention_maps").glob("*.png"):
        assert Image.open(path).width > 400
    faces = [f"utterance_2_face_{n}.png" for n in range(1, len(item["faces"]) + 1)]
    assert sorted(path.name for path in (folder / "faces").iterdir()) == sorted(faces)
    assert {Image.open(folder / "faces" / name).size for name in faces} == {(360, 288)}
    with av.open(str(folder / "overlay.mp4")) as film:
        assert sum(1 for _ in film.decode(video=0)) == len(faces)
        assert film.streams.video[0].average_rate == 4


def test_sound_alone_is_explained_alone(recognizer: EmotionRecognizer, tmp_path: Path) -> None:
    voice = write_wav(tmp_path / "voice.wav", speech_like(1.0))
    made = ExplainingRecognizer(recognizer, ExplainSettings())
    prediction = made.predict(voice, transcribe=False)
    explanation = MediaExplanation(prediction, tuple(made.reader.explanations))
    write_explanation(explanation, voice, 4.0, tmp_path / "out")
    assert not (tmp_path / "out" / "overlay.mp4").exists()
    assert list((tmp_path / "out" / "faces").iterdir()) == []
    page = Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert "No face: nothing is attributed to it." in page.text
    assert "No words: nothing is attributed to it." in page.text
    (item,) = json.loads((tmp_path / "out" / "explanation.json").read_text())["utterances"]
    assert list(item["attributions"]) == list(item["modalities"]) == ["audio"]


def test_a_still_picture_is_explained_for_the_emotion_asked_for(
    small_face: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    options = ["--out", str(out), "--emotion", "angry", "--plus-plus", "--utterances", "1,3"]
    code, stdout, stderr = run(["explain", str(small_face), *options], monkeypatch, capsys)
    assert (code, stdout) == (1, "")
    assert "has 1 utterance, so there is no utterance 3" in stderr
    (item,) = json.loads((out / "explanation.json").read_text())["utterances"]
    assert item["explained"] == "anger"
    assert item["probability"] < 1
    assert item["attributions"]["visual"]["method"] == "Grad-CAM++"
    assert [path.name for path in (out / "faces").iterdir()] == ["utterance_1_face_1.png"]
    assert not (out / "overlay.mp4").exists()
    assert "still image: why anger?" in Page((out / "report.html").read_text()).text


@pytest.mark.parametrize("numbers", ["0", "3-1", "x", "", "1,,2", "-1", "1-9999999"])
def test_what_is_no_list_of_utterances_is_wrong_usage(
    numbers: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--out", "nowhere", "--utterances", numbers]
    code, _, stderr = run(["explain", "clip.mp4", *options], monkeypatch, capsys)
    assert code == 2
    assert "1,4-6" in stderr
    assert not Path("nowhere").exists()


def text_only(folder: Path) -> Path:
    """A checkpoint that reads text alone, with the weights it began with."""
    config = load_config(checkpoint_folder("embedded") / "config.yaml")
    model = {**config.model.model_dump(), "kind": "text-only"}
    config = config.model_validate({**config.model_dump(), "model": model})
    torch.manual_seed(0)
    metrics = {"model": "text-only", "seed": 0, "selection": "none", "data": "none"}
    save_checkpoint(folder, build_model(config), config, metrics)
    return folder


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--emotion", "bliss"], f"unknown emotion 'bliss'; use one of {', '.join(EMOTIONS)}"),
        (["--checkpoint", "model.onnx"], "explanations need the torch engine"),
        (["--checkpoint", "nowhere"], "nowhere is no checkpoint"),
        (["--transcript", "missing.srt"], "the transcript missing.srt does not exist"),
        ([], "gone.mp4"),
    ],
)
def test_what_cannot_be_explained_is_one_sentence(
    options: list[str],
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["explain", str(tmp_path / "gone.mp4"), "--out", str(tmp_path / "out"), *options]
    code, stdout, stderr = run(arguments, monkeypatch, capsys)
    assert (code, stdout) == (1, "")
    assert reason in stderr
    assert len(stderr.splitlines()) == 1


def test_a_checkpoint_that_cannot_read_media_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    voice = write_wav(tmp_path / "voice.wav", speech_like(0.5))
    checkpoint = text_only(tmp_path / "text")
    options = ["--out", str(tmp_path / "out"), "--checkpoint", str(checkpoint)]
    code, _, stderr = run(["explain", str(voice), *options], monkeypatch, capsys)
    assert code == 1
    assert "cannot read media" in stderr


def test_the_recogniser_itself_explains(recognizer: EmotionRecognizer, tmp_path: Path) -> None:
    voice = write_wav(tmp_path / "voice.wav", speech_like(1.0))
    cues = load_transcript("What a day")
    found = recognizer.explain(voice, cues, emotion="anger")
    assert to_json(found.prediction) == to_json(recognizer.predict(voice, cues))
    (explained,) = found.utterances
    assert (explained.emotion, explained.words) == ("anger", ("What", "a", "day"))
    with pytest.raises(AvtError, match="unknown emotion 'hunger'"):
        recognizer.explain(voice, emotion="hunger")


def test_a_manifest_is_checked_row_by_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # How exact they are is tested elsewhere; here fewer steps do.
    monkeypatch.setattr("avt_memocmt.explainability.integrated_gradients.STEPS", 4)
    manifest = tmp_path / "clips.csv"
    rows = (",What a wonderful day,joy", ",I hate all of this,anger", "gone.wav,,fear")
    manifest.write_text("\n".join(("path,text,emotion", *rows)), encoding="utf-8")
    out = tmp_path / "out"
    options = [str(manifest), "--out", str(out), "--limit", "3"]
    code, stdout, stderr = run(["check-explanations", *options], monkeypatch, capsys)
    assert code == 1
    assert "failed: line 4" in stderr
    found = json.loads((out / "faithfulness.json").read_text())
    (kind,) = found["summary"]
    assert (kind["present"], kind["modality"], kind["n"]) == ("text", "text", 2)
    gains = [row["deletion_gain"] for row in found["rows"]]
    assert kind["deletion_gain"]["mean"] == pytest.approx(sum(gains) / 2)
    assert kind["deletion_gain"]["interval_95"] == pytest.approx([min(gains), max(gains)])
    assert stdout == (out / "faithfulness.md").read_text()
    assert "| text | text | Integrated Gradients | 2 |" in stdout
    assert [row["line"] for row in found["failed"]] == [4]


def test_explain_with_check_passes_a_manifest_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[tuple[object, ...]] = []
    monkeypatch.setattr(
        "avt_memocmt.commands.explain.check_explanations", lambda *a: calls.append(a)
    )
    options = ["--check", "--out", "out", "--limit", "3"]
    assert run(["explain", "clips.csv", *options], monkeypatch, capsys)[0] == 0
    assert calls == [(Path("clips.csv"), Path("out"), 3, "embedded")]


def test_a_manifest_needs_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["clips.csv", "--out", str(tmp_path / "out")]
    code, _, stderr = run(["explain", *options], monkeypatch, capsys)
    assert code == 1
    assert "clips.csv is a manifest; give it with --check and --limit alone." in stderr


def test_without_captum_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "captum", None)
    out = tmp_path / "out"
    code, _, stderr = run(["explain", "clip.mp4", "--out", str(out)], monkeypatch, capsys)
    assert code == 1
    assert "pip install 'avt-memocmt[explain]'" in stderr
    assert not out.exists()


def test_predicting_imports_nothing_heavy_and_nothing_of_explanations(tmp_path: Path) -> None:
    """Such imports take longer than everything else of a start."""
    voice = write_wav(tmp_path / "voice.wav", speech_like(0.5))
    program = (
        "import sys; from avt_memocmt.cli import app; "
        f"app(['predict', {str(voice)!r}, '--no-transcribe', '--out', {str(tmp_path)!r}], "
        "standalone_mode=False); "
        "print([name for name in ('transformers', 'torch._dynamo', 'sympy', 'captum', "
        "'matplotlib', 'avt_memocmt.explainability.explanation') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300
    )
    assert done.stdout.splitlines()[-1] == "[]"
