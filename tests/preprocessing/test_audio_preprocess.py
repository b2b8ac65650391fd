"""Loading windows of sound, trimming, levels, WAV files."""

from __future__ import annotations

import math
import wave

import numpy as np
import pytest
from media_factory import tone, write_media, write_wav

from avt_memocmt.errors import AvtError
from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.preprocessing.audio_preprocess import (
    load_audio,
    peak_dbfs,
    save_wav,
    trim_silence,
)


def test_window_holds_exactly_the_samples_asked_for(tmp_path):
    ramp = np.linspace(-0.9, 0.9, 2 * SAMPLE_RATE, dtype=np.float32)
    path = write_wav(tmp_path / "ramp.wav", ramp)
    whole = load_audio(path)
    assert whole == pytest.approx(ramp, abs=1e-4)
    part = load_audio(path, 0.5, 1.25)
    assert np.array_equal(part, whole[8000:20000])
    assert np.array_equal(load_audio(path, 1.5, 99.0), whole[24000:])


def test_time_without_sound_is_zero(tmp_path):
    path = write_media(
        tmp_path / "late.mkv",
        picture_times=[0, 1, 2],
        sound=tone(1),
        sound_start=1.0,
        audio_codec="flac",
    )
    samples = load_audio(path, 0.5, 1.5)
    assert len(samples) == SAMPLE_RATE
    assert not samples[:7950].any()
    assert samples[8050:] == pytest.approx(tone(1)[50:8000], abs=1e-3)


@pytest.mark.parametrize(
    ("start", "end", "reason"),
    [(5.0, 6.0, "no sound between"), (0.7, 0.7, "no span"), (-1.0, 1.0, "no span")],
)
def test_impossible_window_is_refused(tmp_path, start, end, reason):
    path = write_wav(tmp_path / "tone.wav", tone(1))
    with pytest.raises(AvtError, match=reason):
        load_audio(path, start, end)


def test_video_without_sound_is_refused(tmp_path):
    path = write_media(tmp_path / "silent.mp4", picture_times=[0, 0.5])
    with pytest.raises(AvtError, match="has no sound"):
        load_audio(path)


def test_trim_keeps_the_sound_between_silences():
    quiet = np.full(SAMPLE_RATE, 1e-4, np.float32)
    kept, span = trim_silence(np.concatenate([quiet, tone(0.5), quiet[:8000]]))
    assert span == pytest.approx((1.0, 1.5))
    assert np.array_equal(kept, tone(0.5))


def test_trim_is_relative_to_the_loudest_frame():
    steps = np.concatenate([tone(0.2, level=level) for level in (0.005, 0.05, 0.5)])
    assert trim_silence(steps, 60.0)[1] == pytest.approx((0.0, 0.6))
    assert trim_silence(steps, 30.0)[1] == pytest.approx((0.2, 0.6))
    assert trim_silence(steps * 0.001, 30.0)[1] == pytest.approx((0.2, 0.6))
    assert trim_silence(steps, 10.0)[1] == pytest.approx((0.4, 0.6))


@pytest.mark.parametrize("count", [0, 1, 100, 16_000])
def test_silent_clip_is_returned_whole(count):
    samples = np.zeros(count, np.float32)
    kept, span = trim_silence(samples)
    assert len(kept) == count
    assert span == (0.0, count / SAMPLE_RATE)


def test_peak():
    assert peak_dbfs(tone(0.1, level=0.5)) == pytest.approx(-6.02, abs=0.01)
    assert peak_dbfs(np.array([0.1, -1.0], np.float32)) == 0.0
    assert peak_dbfs(np.zeros(10, np.float32)) == -math.inf
    assert peak_dbfs(np.zeros(0, np.float32)) == -math.inf


def test_saved_wav_reads_back(tmp_path):
    samples = tone(0.3)
    save_wav(tmp_path / "out.wav", samples)
    save_wav(tmp_path / "out.wav", samples)
    assert load_audio(tmp_path / "out.wav") == pytest.approx(samples, abs=1e-4)
    with wave.open(str(tmp_path / "out.wav")) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (1, 16_000, 2)
    assert [file.name for file in tmp_path.iterdir()] == ["out.wav"]


def test_loud_samples_do_not_wrap_around(tmp_path):
    save_wav(tmp_path / "loud.wav", np.array([2.0, -2.0] * 50, np.float32))
    assert load_audio(tmp_path / "loud.wav")[:2] == pytest.approx([1.0, -1.0], abs=1e-4)


def test_unwritable_folder_is_named(tmp_path):
    with pytest.raises(AvtError, match="cannot write"):
        save_wav(tmp_path / "nowhere" / "out.wav", tone(0.1))
