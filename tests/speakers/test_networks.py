"""Features and networks against what is known about them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.speakers.installed import speakers_installed

if not speakers_installed():
    pytest.skip("install the extra 'speakers' to run this test", allow_module_level=True)

from avt_memocmt.preprocessing.audio_preprocess import load_audio, trim_silence
from avt_memocmt.speakers.campplus import CamPlusPlus, load_campplus
from avt_memocmt.speakers.embedding import SpeakerEmbedder, log_mel
from avt_memocmt.speakers.segmentation import SETS, SegmentationNetwork, SincFilters

TIMES = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE


@pytest.fixture(scope="module")
def embedder() -> SpeakerEmbedder:
    return SpeakerEmbedder()


def test_features_are_a_frame_each_10_ms_without_a_mean() -> None:
    noise = np.random.default_rng(0).normal(size=SAMPLE_RATE).astype(np.float32)
    features = log_mel(noise)
    assert features.shape == (98, 80)  # 25 ms frames, only whole ones
    np.testing.assert_allclose(features.mean(axis=0), 0.0, atol=1e-4)


def test_a_tone_lies_in_the_bin_of_its_pitch() -> None:
    # Mel bins: triangles at equal distances of 1127 ln(1 + f / 700) between 20 and 8000 Hz.
    tone = np.sin(2 * np.pi * 1000 * TIMES) * (TIMES > 1)
    features = log_mel(
        (tone + 1e-3 * np.random.default_rng(0).normal(size=len(TIMES))).astype("f4")
    )
    rise = features[150] - features[50]
    mel = 1127 * np.log1p(np.array([20, 1000, 8000]) / 700)
    assert abs(int(rise.argmax()) - (81 * (mel[1] - mel[0]) / (mel[2] - mel[0]) - 1)) <= 1


def test_the_level_does_not_matter(embedder: SpeakerEmbedder) -> None:
    sound = np.random.default_rng(0).normal(size=2 * SAMPLE_RATE).astype(np.float32)
    loud, faint = embedder.embed(0.3 * sound), embedder.embed(1e-4 * sound)
    np.testing.assert_allclose(faint, loud, atol=1e-3)


def test_voices_that_are_embedded_together_are_those_of_each_alone(
    embedder: SpeakerEmbedder,
) -> None:
    generator = np.random.default_rng(1)
    sounds = [generator.normal(size=n).astype(np.float32) for n in (16_000, 9_000, 16_000, 12_345)]
    together = embedder.embed_all(sounds)
    for sound, voice in zip(sounds, together, strict=True):
        np.testing.assert_allclose(voice, embedder.embed(sound), atol=1e-4)
    assert embedder.embed_all([]) == []


def test_folded_norms_change_nothing() -> None:
    torch.manual_seed(0)
    network = CamPlusPlus().eval()
    for name, value in network.state_dict().items():
        if "running_var" in name:
            value.uniform_(0.5, 2.0)
        elif "running_mean" in name:
            value.normal_()
    mel = torch.randn(2, 230, 80)
    with torch.inference_mode():
        torch.testing.assert_close(
            load_campplus(network.state_dict())(mel), network(mel), atol=1e-4, rtol=1e-3
        )


def test_voices_of_one_speaker_are_nearer(embedder: SpeakerEmbedder, data_dir: Path) -> None:
    names = [f"03-01-01-01-{line}-01-{actor}" for actor in ("03", "06") for line in ("01", "02")]
    sounds = [trim_silence(load_audio(data_dir / "ravdess" / f"{name}.flac"))[0] for name in names]
    voices = np.stack([embedder.embed(sound) for sound in sounds])
    voices /= np.linalg.norm(voices, axis=1, keepdims=True)
    similar = voices @ voices.T
    assert min(similar[0, 1], similar[2, 3]) > similar[:2, 2:].max() + 0.2


def test_band_passes_let_their_band_through() -> None:
    bank = SincFilters(bands=1)
    bank.load_state_dict(
        {
            "low_hz_": torch.tensor([[950.0]]),
            "band_hz_": torch.tensor([[950.0]]),
            "window_": torch.from_numpy(np.hamming(251)[:125]).float(),
            "n_": bank.n_,
        }
    )
    with torch.no_grad():
        responses = np.abs(np.fft.rfft(bank.filters()[:, 0].numpy(), SAMPLE_RATE))
    # From 1000 to 2000 Hz; a Hertz a bin. Scaled to 1 in the middle tap, that is 1 / (2 B / rate).
    gain = responses / responses[:, 1500:1501]
    assert gain[:, 1150:1850].min() > 0.95
    assert max(gain[:, :850].max(), gain[:, 2150:].max()) < 0.02
    assert np.allclose(responses[0, 1500], responses[1, 1500], rtol=0.02)


def test_probabilities_of_speakers_are_those_of_their_sets() -> None:
    torch.manual_seed(0)
    network = SegmentationNetwork().eval()
    with torch.inference_mode():
        sound = torch.randn(1, 10 * SAMPLE_RATE)
        sets = network.logits(sound).softmax(-1)
        speakers = network(sound)
    assert sets.shape == (1, 589, len(SETS))
    torch.testing.assert_close(speakers[..., 1], sets[..., 2] + sets[..., 4] + sets[..., 6])
