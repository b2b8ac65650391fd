"""The modules that the paper names by `python -m`: what they do, and what they say is wrong."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import run
from footage import Spoken
from media_factory import speech_like, write_wav

MODULES = {
    "preprocessing.audio_preprocess": "preprocess audio",
    "preprocessing.audio_preprocess_vad": "preprocess vad",
    "preprocessing.audio_forced_alignment": "preprocess align",
    "preprocessing.video_preprocess": "preprocess video",
    "preprocessing.video_preprocess_mtcnn": "preprocess faces",
    "preprocessing.text_preprocess": "preprocess text",
    "features.extract_audio_features": "features audio",
    "features.extract_visual_features": "features visual",
    "features.extract_text_features": "features text",
    "explainability.attention_visualization": "explain-by attention",
    "explainability.gradcam": "explain-by grad-cam",
    "explainability.integrated_gradients": "explain-by integrated-gradients",
}


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize("module", MODULES)
def test_every_module_is_its_command(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", [f"{module}.py", "--help"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_module(f"avt_memocmt.{module}", run_name="__main__", alter_sys=True)
    assert not stop.value.code
    assert f"Usage: avt-memocmt {MODULES[module]} [OPTIONS]" in capsys.readouterr().out


def test_a_module_works_and_fails_as_a_program(tmp_path: Path) -> None:
    def python_m(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "avt_memocmt.preprocessing.text_preprocess", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)

    assert python_m("It&amp;s <i>fine</i>").stdout == "It&s fine\n"
    failed = python_m("nowhere.srt")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.startswith("error: the transcript nowhere.srt does not exist")
    assert len(failed.stderr.splitlines()) == 1


def test_the_encoders_write_tokens_with_their_times(
    talking_clip: Spoken,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    widths = {}
    for modality, source in (
        ("audio", str(talking_clip.path)),
        ("visual", str(talking_clip.path)),
        ("text", "I am so glad."),
    ):
        out = tmp_path / f"{modality}.npz"
        status, _, stderr = run(["features", modality, source, str(out)], monkeypatch, capsys)
        assert status == 0, stderr
        with np.load(out) as found:
            values, spans = found["values"], found["spans"]
        assert f"{len(values)} tokens of {values.shape[1]} numbers in {out}" in stderr
        assert spans.shape == (len(values), 2)
        assert (spans[:, 1] > spans[:, 0]).all()
        widths[modality] = values.shape[1]
    assert widths == {"audio": 1920, "visual": 256, "text": 384}


def test_a_file_without_a_face_has_no_visual_features(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    voice = str(write_wav(tmp_path / "voice.wav", speech_like(0.5)))
    arguments = ["features", "visual", voice, str(tmp_path / "out.npz")]
    status, _, stderr = run(arguments, monkeypatch, capsys)
    assert status == 1
    assert "has no pictures" in stderr
    assert not (tmp_path / "out.npz").exists()


def test_each_method_of_explanation_writes_its_part(
    small_face: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    voice = write_wav(tmp_path / "voice.wav", speech_like(0.6))

    def explain_by(method: str, media: Path, out: str, *options: str) -> str:
        words = ["explain-by", method, str(media), str(tmp_path / out), *options]
        status, _, stderr = run(words, monkeypatch, capsys)
        assert status == ("--utterances" in options), stderr
        return stderr

    explain_by("attention", voice, "maps", "--transcript", "I am glad.")
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == [
        "utterance_1_attention.png",
        "utterance_1_attention.svg",
    ]
    said = explain_by(
        "integrated-gradients",
        voice,
        "scores.json",
        *("--transcript", "I am glad.", "--utterances", "1,2"),
    )
    assert "has 1 utterance, so there is no utterance 2" in said
    (item,) = json.loads((tmp_path / "scores.json").read_text())
    assert item["words"] == ["I", "am", "glad."]
    assert set(item["attributions"]) == {"audio", "text"}
    assert len(item["attributions"]["text"]["scores"]) == len(item["words"])
    explain_by("grad-cam", small_face, "heat")
    assert [path.name for path in (tmp_path / "heat").rglob("*.png")] == ["utterance_1_face_1.png"]
