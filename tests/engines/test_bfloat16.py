"""The engine torch-bf16: nearly the same probabilities, and refused where it would be slower."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import run
from footage import Spoken
from media_factory import speech_like, write_wav

from avt_memocmt import EmotionRecognizer
from avt_memocmt.engines import bfloat16
from avt_memocmt.errors import AvtError
from avt_memocmt.preprocessing.transcripts import load_transcript


@pytest.fixture(scope="module")
def reduced() -> EmotionRecognizer:
    """The checkpoint in bfloat16, which every processor can compute, if not every one fast."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cpu, "get_capabilities", lambda: {bfloat16.UNITS[0]: True})
        return EmotionRecognizer.from_pretrained("embedded", "torch-bf16")


def test_it_decides_alike_on_a_clip(
    reduced: EmotionRecognizer, recognizer: EmotionRecognizer, talking_clip: Spoken
) -> None:
    clip = talking_clip.path
    cues = load_transcript("I hate you!")
    found = reduced.predict(clip, cues).utterances[0]
    expected = recognizer.predict(clip, cues).utterances[0]
    assert all(use.present for use in found.modalities.values())
    # The pool adds up the errors of three decisions.
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=0.03)
    assert found.probabilities != expected.probabilities, "it computed in single precision"
    for name, use in expected.modalities.items():
        assert use.probabilities is not None
        np.testing.assert_allclose(
            found.modalities[name].probabilities, use.probabilities, atol=0.02
        )


def test_tokens_and_decisions_stay_in_single_precision(reduced: EmotionRecognizer) -> None:
    encoders = reduced.engine.encoders
    sound = encoders.audio.encode([speech_like(1.0)])[0]
    assert sound.values.dtype == np.float32
    pixels = torch.rand(2, 3, encoders.visual.side, encoders.visual.side)
    with torch.no_grad():
        assert encoders.visual(pixels).dtype == torch.float32
        assert encoders.audio.log_mel(torch.rand(1, 16_000)).dtype == torch.float32


def test_explanations_are_refused(reduced: EmotionRecognizer, tmp_path: Path) -> None:
    voice = write_wav(tmp_path / "voice.wav", speech_like(1.0))
    with pytest.raises(AvtError, match="use the torch engine"):
        reduced.explain(voice)


def test_a_processor_without_units_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    voice = write_wav(tmp_path / "voice.wav", speech_like(1.0))
    command = ["predict", str(voice), "--engine", "torch-bf16", "--no-transcribe", "--json"]
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    code, _, stderr = run(command, monkeypatch, capsys)
    assert code == 1
    assert "no units for bfloat16" in stderr
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {bfloat16.UNITS[0]: True})
    code, stdout, _ = run(command, monkeypatch, capsys)
    assert code == 0
    assert json.loads(stdout)["utterances"]
