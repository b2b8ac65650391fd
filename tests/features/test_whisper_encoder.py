"""The packaged Whisper encoder against transformers' own, and its promises about padding."""

from __future__ import annotations

import struct
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import WhisperConfig, WhisperFeatureExtractor
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from avt_memocmt.errors import AvtError
from avt_memocmt.features.ctranslate2_file import read_ctranslate2
from avt_memocmt.features.whisper_encoder import WhisperTinyEncoder, token_count
from avt_memocmt.pretrained import packaged_path


@pytest.fixture(scope="module")
def encoder() -> WhisperTinyEncoder:
    return WhisperTinyEncoder()


def sound(samples: int, seed: int = 0) -> Tensor:
    """[samples] of noise that swells and fades, peak about 0.3."""
    noise = np.random.default_rng(seed).standard_normal(samples)
    return torch.from_numpy((0.1 * noise * np.hanning(samples)).astype(np.float32))


def reference_encoder() -> WhisperEncoder:
    """Transformers' encoder with the tensors of the packaged file."""
    config = WhisperConfig(
        d_model=384, encoder_layers=4, encoder_attention_heads=6, encoder_ffn_dim=1536
    )
    names = {
        "self_attn.out_proj": "self_attention/linear_1",
        "self_attn_layer_norm": "self_attention/layer_norm",
        "fc1": "ffn/linear_0",
        "fc2": "ffn/linear_1",
        "final_layer_norm": "ffn/layer_norm",
    }
    raw = read_ctranslate2(packaged_path("whisper-tiny.en"), "encoder/")

    def pick(name: str) -> Tensor:
        return torch.from_numpy(raw[f"encoder/{name}"].astype(np.float32))

    def put(ours: str, theirs: str) -> None:
        leaves = ("gamma", "beta") if theirs.endswith("norm") else ("weight", "bias")
        state[f"{ours}.weight"], state[f"{ours}.bias"] = (pick(f"{theirs}/{x}") for x in leaves)

    state = {"embed_positions.weight": pick("position_encodings/encodings")}
    for name in ("conv1", "conv2", "layer_norm"):
        put(name, name)
    for i in range(4):
        for ours, theirs in names.items():
            put(f"layers.{i}.{ours}", f"layer_{i}/{theirs}")
        for leaf in ("weight", "bias"):
            fused = pick(f"layer_{i}/self_attention/linear_0/{leaf}").chunk(3)
            for which, part in zip("qkv", fused, strict=True):
                state[f"layers.{i}.self_attn.{which}_proj.{leaf}"] = part
        # Whisper's keys have no bias; the fused one must be zero there.
        assert not state.pop(f"layers.{i}.self_attn.k_proj.bias").any()
    model = WhisperEncoder(config).eval()
    model.load_state_dict(state)
    return model


def test_full_window_equals_transformers(encoder: WhisperTinyEncoder) -> None:
    clip = sound(80_000)
    front_end = WhisperFeatureExtractor(feature_size=80)
    wanted = front_end(clip.numpy(), sampling_rate=16_000, return_tensors="pt").input_features
    mel = encoder.log_mel(torch.nn.functional.pad(clip, (0, 400_000))[None])
    torch.testing.assert_close(mel, wanted, atol=1e-5, rtol=0)
    with torch.no_grad():
        states = reference_encoder()(wanted, output_hidden_states=True).hidden_states
        ours = encoder(mel)
    assert ours.shape == (1, 1500, encoder.layers, encoder.dim)
    torch.testing.assert_close(ours, torch.stack(states, dim=2), atol=1e-3, rtol=0)


def test_log_mel_floor_is_80_db_below_the_clip_alone(encoder: WhisperTinyEncoder) -> None:
    quiet = 0.01 * torch.sin(torch.arange(8000) * 2 * torch.pi * 440 / 16_000)
    quiet[-1] = 0.9  # loudest in the frame after the last one, which is not the clip's
    row = torch.cat([quiet, torch.full((8000,), 0.9)])[None]
    mel = encoder.log_mel(row, torch.tensor([8000]))
    assert mel.shape == (1, 80, 100)
    assert torch.equal(mel[..., 50:], torch.zeros(1, 80, 50))
    torch.testing.assert_close(mel[..., :50], encoder.log_mel(quiet[None]), atol=1e-6, rtol=0)
    assert mel[..., :50].max() - mel[..., :50].min() == pytest.approx(8 / 4)


def test_tokens_do_not_depend_on_the_batch(encoder: WhisperTinyEncoder) -> None:
    lengths = torch.tensor([50_000, 16_123, 321, 320])
    batch = torch.full((4, 50_000), 0.7)
    clips = [sound(int(n), seed) for seed, n in enumerate(lengths)]
    for row, clip in zip(batch, clips, strict=True):
        row[: len(clip)] = clip
    counts = token_count(lengths)
    assert counts.tolist() == [157, 51, 2, 1]
    mask = torch.arange(token_count(50_000)) < counts[:, None]
    # In double precision, where no rounding of one machine or another hides or feigns a leak.
    double = deepcopy(encoder).double()
    together = double(double.log_mel(batch.double(), lengths), mask)
    for row, clip, count in zip(together, clips, counts, strict=True):
        alone = double(double.log_mel(clip[None].double()))[0]
        scale = alone.abs().max()
        torch.testing.assert_close(row[:count] / scale, alone / scale, atol=1e-9, rtol=0)


def test_silence_after_a_clip_leaves_its_tokens_alone(encoder: WhisperTinyEncoder) -> None:
    clips = [sound(16_000, 1), sound(16_000, 2)]
    silences = []
    for clip in clips:
        mel = encoder.log_mel(clip[None])
        longer = encoder.forward_with_silence(mel, 90)
        assert longer.shape == (1, 90, 5, 384)
        torch.testing.assert_close(longer[:, :50], encoder(mel), atol=1e-4, rtol=0)
        silences.append(longer[:, 50:, -1])
    assert (silences[0] - silences[1]).abs().max() > 0.1, "silence must still hear the clip"


def test_silence_is_what_the_front_end_makes_of_zeros(encoder: WhisperTinyEncoder) -> None:
    clip = sound(16_000)
    padded = encoder.log_mel(torch.cat([clip, torch.zeros(16_000)])[None])
    wanted = torch.full((1, 80, 90), float(padded.max()) - 2.0)
    torch.testing.assert_close(padded[..., 110:], wanted, atol=1e-6, rtol=0)
    # Digital silence has its own floor: no power counts as less than 1e-10.
    nothing = encoder.log_mel(torch.zeros(1, 3200))
    assert torch.equal(nothing, torch.full_like(nothing, -1.5))
    whole = encoder(encoder.log_mel(torch.zeros(1, 6400)))
    longer = encoder.forward_with_silence(nothing, 20)
    # The stem of the last token sees the edge of the sound, the others see silence alone.
    torch.testing.assert_close(longer[:, 10:19, 0], whole[:, 10:19, 0], atol=1e-5, rtol=0)


def test_gradients_reach_the_waveform_and_no_weight(encoder: WhisperTinyEncoder) -> None:
    waveforms = sound(6400).repeat(2, 1).requires_grad_()
    lengths = torch.tensor([6400, 3200])
    mask = torch.arange(20) < token_count(lengths)[:, None]
    hidden = encoder(encoder.log_mel(waveforms, lengths), mask)
    hidden[mask].square().sum().backward()
    assert waveforms.grad is not None
    assert torch.isfinite(waveforms.grad).all()
    assert (waveforms.grad[:, 800:3200].abs() > 0).float().mean() > 0.99
    assert not waveforms.grad[1, 3200:].any()
    assert not any(parameter.requires_grad for parameter in encoder.parameters())


def test_more_than_30_seconds_are_refused(encoder: WhisperTinyEncoder) -> None:
    with pytest.raises(AvtError, match="30 s"):
        encoder.log_mel(torch.zeros(1, 480_001))


def variable(name: bytes, shape: tuple[int, ...], kind: int, data: bytes) -> bytes:
    head = struct.pack("<H", len(name) + 1) + name + b"\0" + struct.pack("<B", len(shape))
    return head + struct.pack(f"<{len(shape)}IBI", *shape, kind, len(data)) + data


def model_file(folder: Path, *variables: bytes, version: int = 6) -> Path:
    head = struct.pack("<I", version) + struct.pack("<H", 5) + b"Spec\0"
    path = folder / "model.bin"
    path.write_bytes(head + struct.pack("<II", 3, len(variables)) + b"".join(variables))
    return path


HALVES = np.arange(6, dtype="<f2")
ENCODER_VARIABLE = variable(b"encoder/a", (2, 3), 4, HALVES.tobytes())
DECODER_VARIABLE = variable(b"decoder/b", (2,), 0, bytes(8))


def test_reads_only_the_variables_asked_for(tmp_path: Path) -> None:
    path = model_file(tmp_path, DECODER_VARIABLE, ENCODER_VARIABLE)
    found = read_ctranslate2(path, "encoder/")
    assert list(found) == ["encoder/a"]
    assert np.array_equal(found["encoder/a"], HALVES.reshape(2, 3))


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    path = model_file(tmp_path, ENCODER_VARIABLE, DECODER_VARIABLE)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(AvtError, match=r"model\.bin is not a valid CTranslate2 model"):
            read_ctranslate2(path, "encoder/")


@pytest.mark.parametrize(
    "broken",
    [
        variable(b"encoder/a", (2, 3), 4, bytes(11)),
        variable(b"encoder/a", (2**32 - 1, 2**32 - 1), 4, bytes(12)),
        variable(b"encoder/a", (2, 3), 9, bytes(12)),
        variable(b"encoder/\xff", (2, 3), 4, bytes(12)),
        ENCODER_VARIABLE.replace(b"a\0", b"ab"),
    ],
    ids=["size", "huge", "dtype", "name", "unterminated"],
)
def test_inconsistent_variables_are_refused(tmp_path: Path, broken: bytes) -> None:
    with pytest.raises(AvtError, match="not a valid CTranslate2 model"):
        read_ctranslate2(model_file(tmp_path, broken), "encoder/")


def test_other_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AvtError, match="version is 5"):
        read_ctranslate2(model_file(tmp_path, version=5), "")
    with pytest.raises(AvtError, match="not a float CTranslate2 model of Whisper tiny"):
        WhisperTinyEncoder(model_file(tmp_path, ENCODER_VARIABLE))
    with pytest.raises(AvtError, match="cannot read"):
        read_ctranslate2(tmp_path / "none.bin", "")
