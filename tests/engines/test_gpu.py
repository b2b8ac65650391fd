"""The engine torch-cuda. Without a GPU: nothing is computed off the device, and answers return."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import run
from footage import Spoken
from media_factory import speech_like, write_wav
from torch import Tensor

from avt_memocmt import EmotionRecognizer
from avt_memocmt.bench.paper import PaperNetwork, paper_inputs
from avt_memocmt.data.dialogue_batch import ModalityBatch
from avt_memocmt.engines.cuda import DeviceEngine
from avt_memocmt.features.whisper_encoder import WhisperEncoder
from avt_memocmt.preprocessing.transcripts import load_transcript

ELSEWHERE = torch.device("meta")
"""A device without values, whose tensors no operation takes together with the processor's."""


@pytest.fixture
def moved() -> EmotionRecognizer:
    found = EmotionRecognizer.from_pretrained("embedded")
    found.engine = DeviceEngine(found.engine.encoders, found.engine.model, ELSEWHERE)
    return found


def test_networks_stay_on_their_device(moved: EmotionRecognizer) -> None:
    encoders, model = moved.engine.encoders, moved.engine.model
    assert isinstance(encoders.audio, WhisperEncoder)
    sound = torch.zeros(2, 16_000, device=ELSEWHERE)
    pixels = torch.zeros(3, 3, encoders.visual.side, encoders.visual.side, device=ELSEWHERE)
    ids = torch.zeros(2, 9, dtype=torch.long, device=ELSEWHERE)
    words = encoders.text.model(input_ids=ids, attention_mask=ids, token_type_ids=ids)
    found = [
        *encoders.audio.tokens_for(sound, torch.zeros(2, dtype=torch.long, device=ELSEWHERE)),
        encoders.visual(pixels),
        words.last_hidden_state,
    ]
    fused = model.fuse(
        {
            name: ModalityBatch.of_tokens(
                torch.zeros(2, 5, width, device=ELSEWHERE),
                torch.zeros(2, 5, 2, device=ELSEWHERE),
                torch.zeros(2, 5, dtype=torch.bool, device=ELSEWHERE),
            )
            for name, width in model.widths.items()
        }
    )
    turns = fused.utterances[:, None]
    everyone = torch.zeros(2, 1, dtype=torch.bool, device=ELSEWHERE)
    found += [fused.pooled_logits, fused.modality_weights, fused.temperature]
    found += [*fused.unimodal_logits.values(), model.classify(turns, everyone, everyone.long())]
    assert {tensor.device for tensor in found} == {ELSEWHERE}


def test_only_the_networks_move(recognizer: EmotionRecognizer, talking_clip: Spoken) -> None:
    wrapped = EmotionRecognizer.from_pretrained("embedded")
    engine = wrapped.engine
    wrapped.engine = DeviceEngine(engine.encoders, engine.model, torch.device("cpu"))
    clip, cues = talking_clip.path, load_transcript("I hate you!")
    expected = recognizer.predict(clip, cues).utterances
    assert wrapped.predict(clip, cues).utterances == expected


def test_answers_return_to_main_memory(
    moved: EmotionRecognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device without values cannot give them back, so what `cpu` is called on is counted."""
    returned: list[Tensor] = []
    monkeypatch.setattr(Tensor, "cpu", lambda tensor: returned.append(tensor) or tensor)
    engine = moved.engine
    assert all(weight.device == ELSEWHERE for weight in engine.model.parameters())
    widths = engine.encoders.widths
    parts = {
        name: ModalityBatch.of_tokens(
            torch.zeros(2, 5, width), torch.zeros(2, 5, 2), torch.zeros(2, 5, dtype=torch.bool)
        )
        for name, width in widths.items()
    }
    fused = engine.fuse(parts)
    everyone = torch.ones(2, 1, dtype=torch.bool)
    logits = engine.classify(torch.zeros(2, 1, engine.model.dim), everyone, everyone.long())
    tensors = [fused.utterances, fused.pooled_logits, fused.corrected, fused.modality_weights]
    expected = [*tensors, fused.temperature, *fused.unimodal_logits.values(), logits]
    assert len(returned) == len(expected)
    assert all(found is tensor for found, tensor in zip(returned, expected, strict=True))


def test_a_machine_without_a_gpu_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    voice = write_wav(tmp_path / "voice.wav", speech_like(1.0))
    command = ["predict", str(voice), "--engine", "torch-cuda", "--no-transcribe"]
    code, _, stderr = run(command, monkeypatch, capsys)
    assert code == 1
    assert "PyTorch finds no GPU here; use --engine torch instead." in stderr


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_decides_alike(recognizer: EmotionRecognizer, talking_clip: Spoken) -> None:
    clip, cues = talking_clip.path, load_transcript("I hate you!")
    found = EmotionRecognizer.from_pretrained("embedded", "torch-cuda").predict(clip, cues)
    expected = recognizer.predict(clip, cues).utterances[0]
    np.testing.assert_allclose(
        found.utterances[0].probabilities, expected.probabilities, atol=0.005
    )


def test_the_papers_networks_can_be_captured_by_a_graph() -> None:
    class OnTheDevice(torch.overrides.TorchFunctionMode):
        """Refuses tensors that were made on the processor, which a CUDA graph cannot copy."""

        def __torch_function__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            found = function(*args, **(kwargs or {}))
            if isinstance(found, Tensor):
                assert found.device == ELSEWHERE, function
            return found

    with ELSEWHERE:
        network = PaperNetwork("sdpa")
    inputs = [tensor.to(ELSEWHERE) for tensor in paper_inputs()]
    with torch.no_grad(), OnTheDevice():
        assert network(*inputs).shape == (1, 7)
