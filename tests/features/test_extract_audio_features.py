"""Audio encoders on tiny random models: parity with transformers, batches, times, gradients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import (
    AutoFeatureExtractor,
    AutoModel,
    BertConfig,
    BertModel,
    HubertConfig,
    HubertModel,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMModel,
)

from avt_memocmt.config import EncoderConfig
from avt_memocmt.errors import AvtError
from avt_memocmt.features.audio_encoder import BATCH_SAMPLES, batches, token_spans
from avt_memocmt.features.extract_audio_features import (
    AudioEncoder,
    HubAudioEncoder,
    make_audio_encoder,
)
from avt_memocmt.features.whisper_encoder import WhisperTinyEncoder
from avt_memocmt.pretrained import file_sha256

FAMILIES = {
    "hubert": (HubertConfig, HubertModel),
    "wav2vec2": (Wav2Vec2Config, Wav2Vec2Model),
    "wavlm": (WavLMConfig, WavLMModel),
}
# The front end is the real one (receptive field 400, stride 320), narrow.
TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}


def tiny_folder(
    folder: Path, family: str, norm: str, normalize: bool = True, masked: bool | None = None
) -> Path:
    """A random model of a family in a folder; "group" = base sizes, "layer" = large sizes."""
    config_type, model_type = FAMILIES[family]
    torch.manual_seed(0)
    large = norm == "layer"
    config = config_type(
        feat_extract_norm=norm, do_stable_layer_norm=large, conv_bias=large, **TINY
    )
    model_type(config).save_pretrained(folder)
    masked = large if masked is None else masked
    front_end = Wav2Vec2FeatureExtractor(do_normalize=normalize, return_attention_mask=masked)
    front_end.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["hubert", "wav2vec2", "wavlm"])
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=["group", "layer"])
def folder(
    request: pytest.FixtureRequest, family: str, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return tiny_folder(tmp_path_factory.mktemp(family), family, request.param)


@pytest.fixture(scope="module")
def hub(folder: Path) -> AudioEncoder:
    return make_audio_encoder(EncoderConfig(name=str(folder)))


@pytest.fixture(scope="module")
def whisper() -> WhisperTinyEncoder:
    return WhisperTinyEncoder()


def sound(samples: int, seed: int = 0) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).standard_normal(samples)
    return (0.1 * noise + 0.02).astype(np.float32)


def assert_batch_independent(encoder: AudioEncoder) -> None:
    clips = [sound(n, n) for n in (9000, 401, 16_000, 9000, 700)]
    together = encoder.encode(clips)
    for clip, tokens in zip(clips, together, strict=True):
        alone = encoder.encode([clip])[0]
        scale = np.abs(alone.values).max()
        np.testing.assert_allclose(tokens.values / scale, alone.values / scale, atol=1e-5)
        np.testing.assert_array_equal(tokens.spans, alone.spans)


def assert_gradients(encoder: AudioEncoder) -> None:
    waveforms = torch.from_numpy(np.stack([sound(6400), sound(6400, 1)])).requires_grad_()
    tokens, mask = encoder.tokens_for(waveforms, torch.tensor([6400, 3200]))
    assert tokens.shape[:2] == mask.shape
    assert tokens.shape[2] == encoder.layers * encoder.dim
    weights = torch.randn(tokens.shape, generator=torch.Generator().manual_seed(0))
    (tokens * weights)[mask].sum().backward()
    assert waveforms.grad is not None
    assert torch.isfinite(waveforms.grad).all()
    assert waveforms.grad[0, 400:6000].abs().min() > 0
    assert waveforms.grad[1, 400:2800].abs().min() > 0
    assert not waveforms.grad[1, 3200:].any()


def test_parity_with_transformers(hub: AudioEncoder, folder: Path) -> None:
    clip = sound(9000)
    inputs = AutoFeatureExtractor.from_pretrained(folder)(
        clip, sampling_rate=16_000, return_tensors="pt"
    )
    with torch.no_grad():
        wanted = AutoModel.from_pretrained(folder).eval()(**inputs).last_hidden_state[0]
    tokens = hub.encode([clip])[0]
    assert (hub.dim, hub.layers, hub.rate) == (16, 1, 50.0)
    np.testing.assert_allclose(tokens.values, wanted.numpy(), atol=1e-4)


def test_hub_tokens_do_not_depend_on_the_batch(hub: AudioEncoder) -> None:
    assert_batch_independent(hub)


@pytest.mark.parametrize(("norm", "masked"), [("group", True), ("layer", False)])
def test_front_ends_that_contradict_their_norm(tmp_path: Path, norm: str, masked: bool) -> None:
    folder = tiny_folder(tmp_path, "wav2vec2", norm, masked=masked)
    assert_batch_independent(HubAudioEncoder(str(folder)))


def test_hub_gradients_reach_the_waveform(hub: AudioEncoder) -> None:
    assert_gradients(hub)


def test_hub_trains_on_sound_shorter_than_a_spec_augment_span(hub: AudioEncoder) -> None:
    hub.train()
    tokens, mask = hub.tokens_for(torch.from_numpy(sound(800))[None], torch.tensor([800]))
    assert mask.tolist() == [[True, True]]
    assert torch.isfinite(tokens).all()


@pytest.mark.parametrize("normalize", [True, False])
def test_normalization_follows_the_front_end(tmp_path: Path, normalize: bool) -> None:
    encoder = HubAudioEncoder(str(tiny_folder(tmp_path, "wav2vec2", "layer", normalize)))
    clip = sound(4000)
    quiet, loud = encoder.encode([clip, 5 * clip])
    difference = np.abs(quiet.values - loud.values).max()
    assert difference < 1e-4 if normalize else difference > 1e-3


@pytest.mark.parametrize("samples", [1, 399, 400])
def test_very_short_sound_gives_one_token(hub: AudioEncoder, samples: int) -> None:
    tokens = hub.encode([sound(samples)])[0]
    assert len(tokens) == 1
    assert np.isfinite(tokens.values).all()
    np.testing.assert_allclose(tokens.spans, [[0.0, min(0.02, samples / 16_000)]])


def test_whisper_encodes_short_and_empty_sound(whisper: WhisperTinyEncoder) -> None:
    empty, one, short = whisper.encode([sound(0), sound(1), sound(399)])
    assert empty.values.shape == (0, 1920)
    assert empty.spans.shape == (0, 2)
    assert len(one) == 1
    assert np.isfinite(one.values).all()
    np.testing.assert_allclose(short.spans, [[0, 0.02], [0.02, 399 / 16_000]])


def test_hub_empty_sound_gives_no_tokens(hub: AudioEncoder) -> None:
    assert hub.encode([]) == []
    assert hub.encode([sound(0)])[0].values.shape == (0, 16)


def test_rows_without_sound_are_masked_and_finite(
    hub: AudioEncoder, whisper: WhisperTinyEncoder
) -> None:
    for encoder in (hub, whisper):
        waveforms = torch.from_numpy(np.stack([sound(1600), sound(1600)])).requires_grad_()
        tokens, mask = encoder.tokens_for(waveforms, torch.tensor([1600, 0]))
        tokens[mask].sum().backward()
        assert not mask[1].any()
        assert torch.isfinite(tokens).all()
        assert waveforms.grad is not None
        assert torch.isfinite(waveforms.grad).all()


def test_whisper_tokens_do_not_depend_on_the_batch(whisper: WhisperTinyEncoder) -> None:
    assert_batch_independent(whisper)


def test_whisper_gradients_reach_the_waveform(whisper: WhisperTinyEncoder) -> None:
    assert_gradients(whisper)


def test_long_sound_is_encoded_in_pieces_with_running_times(tmp_path: Path) -> None:
    encoder = HubAudioEncoder(str(tiny_folder(tmp_path, "hubert", "group")))
    clip = sound(31 * 16_000 + 123)
    tokens = encoder.encode([clip])[0]
    first, second = encoder.encode([clip[: 30 * 16_000], clip[30 * 16_000 :]])
    np.testing.assert_array_equal(tokens.values, np.concatenate([first.values, second.values]))
    assert tokens.spans[len(first), 0] == 30.0
    assert (np.diff(tokens.spans[:, 0]) > 0).all()
    assert (tokens.spans[:, 1] > tokens.spans[:, 0]).all()
    assert tokens.spans[-1, 1] <= len(clip) / 16_000


def test_spans_end_with_the_sound() -> None:
    spans = token_spans(3, 50.0, samples=800, first=16_000)
    np.testing.assert_allclose(spans, [[1.0, 1.02], [1.02, 1.04], [1.04, 1.05]], atol=1e-6)


def test_batches_are_bounded_and_complete() -> None:
    lengths = [int(n) for n in np.random.default_rng(0).integers(1, BATCH_SAMPLES // 2, 200)]
    found = list(batches(lengths))
    assert sorted(i for batch in found for i in batch) == list(range(200))
    sizes = [len(batch) * max(lengths[i] for i in batch) for batch in found]
    assert max(sizes) <= BATCH_SAMPLES
    assert len(found) < 100


def test_identity_names_the_weights(hub: AudioEncoder, folder: Path) -> None:
    assert hub.identity == {
        "name": folder.name,
        "sha256": file_sha256(folder / "model.safetensors"),
    }


def test_the_packaged_encoder_is_made_by_name() -> None:
    encoder = make_audio_encoder(EncoderConfig(name="whisper-tiny.en"))
    assert isinstance(encoder, WhisperTinyEncoder)
    assert (encoder.dim, encoder.layers, encoder.rate) == (384, 5, 50.0)
    assert encoder.identity["sha256"].startswith("1a5afae0")


def test_a_missing_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(AvtError, match="cannot load the encoder") as caught:
        make_audio_encoder(EncoderConfig(name=str(tmp_path / "nothing")))
    assert "\n" not in str(caught.value)


def test_a_folder_without_front_end_settings_is_refused(tmp_path: Path) -> None:
    tiny_folder(tmp_path, "hubert", "group")
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(AvtError, match=r"preprocessor_config\.json.*--encoders"):
        HubAudioEncoder(str(tmp_path))


def test_another_sampling_rate_is_refused(tmp_path: Path) -> None:
    tiny_folder(tmp_path, "hubert", "group")
    Wav2Vec2FeatureExtractor(sampling_rate=8000).save_pretrained(tmp_path)
    with pytest.raises(AvtError, match="8000 Hz"):
        HubAudioEncoder(str(tmp_path))


def test_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    config = BertConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    BertModel(config).save_pretrained(tmp_path)
    with pytest.raises(AvtError, match="'bert' model"):
        HubAudioEncoder(str(tmp_path))
