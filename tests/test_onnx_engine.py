"""The ONNX engine end to end: the same predictions as PyTorch's, on every set of modalities."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from media_factory import speech_like, write_wav
from test_predict import run

from avt_memocmt import EmotionRecognizer
from avt_memocmt.emotions import EMOTIONS
from avt_memocmt.errors import AvtError
from avt_memocmt.inference.onnx_engine import MANIFEST_FILE, load_onnx
from avt_memocmt.inference.onnx_export import export_checkpoint
from avt_memocmt.inference.results import UtterancePrediction
from avt_memocmt.preprocessing.transcripts import load_transcript


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    export_checkpoint("embedded", folder)
    return folder


@pytest.fixture(scope="module")
def onnx(exported: Path) -> EmotionRecognizer:
    return EmotionRecognizer.from_pretrained(exported, engine="onnx")


def assert_alike(found: UtterancePrediction, expected: UtterancePrediction) -> None:
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-4)
    for name, use in expected.modalities.items():
        assert found.modalities[name].present == use.present
        assert found.modalities[name].weight == pytest.approx(use.weight, abs=1e-4)
        if use.probabilities is not None:
            np.testing.assert_allclose(
                found.modalities[name].probabilities, use.probabilities, atol=1e-4
            )


def test_a_clip_with_the_recogniser_is_predicted_alike(
    onnx: EmotionRecognizer, recognizer: EmotionRecognizer, data_dir: Path
) -> None:
    for name in ("bbaf2n", "swiz3n"):
        clip = data_dir / "grid" / f"{name}.mpg"
        found, expected = onnx.predict(clip), recognizer.predict(clip)
        assert [u.text for u in found.utterances] == [u.text for u in expected.utterances]
        for ours, theirs in zip(found.utterances, expected.utterances, strict=True):
            assert_alike(ours, theirs)


def test_a_dialogue_of_sound_and_words_is_predicted_alike(
    onnx: EmotionRecognizer, recognizer: EmotionRecognizer, tmp_path: Path
) -> None:
    quiet = np.zeros(16_000, np.float32)
    voice = write_wav(
        tmp_path / "talk.wav",
        np.concatenate([speech_like(1.0), quiet, speech_like(2.0), quiet, speech_like(0.6)]),
    )
    for cues in (None, load_transcript("Oh no! I told you. Fine.")):
        found = onnx.predict(voice, cues, transcribe=False)
        expected = recognizer.predict(voice, cues, transcribe=False)
        assert len(found.utterances) > 1
        for ours, theirs in zip(found.utterances, expected.utterances, strict=True):
            assert_alike(ours, theirs)


def test_eight_bit_weights_decide_alike_on_words(
    recognizer: EmotionRecognizer, tmp_path: Path
) -> None:
    export_checkpoint("embedded", tmp_path, quantize=True)
    small = EmotionRecognizer.from_pretrained(tmp_path, engine="onnx")
    voice = write_wav(tmp_path / "voice.wav", speech_like(1.0))
    for line in ("I hate you!", "This is wonderful, thank you!", "The meeting is at six."):
        found = small.predict(voice, load_transcript(line)).utterances[0]
        expected = recognizer.predict(voice, load_transcript(line)).utterances[0]
        assert found.emotion == expected.emotion
        assert found.emotion in EMOTIONS
    manifest = json.loads((tmp_path / MANIFEST_FILE).read_text())
    assert "text" in manifest["quantized"]


def test_only_what_export_wrote_is_run(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(AvtError, match="holds no exported checkpoint"):
        load_onnx(tmp_path)
    for path in exported.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with (tmp_path / "face.onnx").open("ab") as file:
        file.write(b"0")
    with pytest.raises(AvtError, match=r"face\.onnx is missing or was changed"):
        load_onnx(tmp_path)


def test_the_engine_is_an_option_of_predict(
    exported: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    voice = write_wav(tmp_path / "voice.wav", speech_like(1.0))
    options = ["--engine", "onnx", "--checkpoint", str(exported), "--json", "--no-transcribe"]
    code, stdout, _ = run(["predict", str(voice), *options], monkeypatch, capsys)
    assert code == 0
    assert json.loads(stdout)["utterances"]
    code, _, stderr = run(
        ["predict", str(voice), "--engine", "onnx", "--checkpoint", "embedded"], monkeypatch, capsys
    )
    assert code == 1
    assert "avt-memocmt export" in stderr


def test_gradients_are_refused(onnx: EmotionRecognizer, tmp_path: Path) -> None:
    visual = onnx.encoders.visual
    assert visual is not None
    with pytest.raises(AvtError, match="torch engine"):
        visual.feature_map(torch.zeros(1, 3, 48, 48))
