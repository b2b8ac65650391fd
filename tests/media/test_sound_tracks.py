"""Sound that used to be lost: cancelled channels, silent tracks, integers stored as floats."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_factory import tone, write_media, write_wav

from avt_memocmt.errors import AvtError
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.media.types import SAMPLE_RATE, AudioChunk


def heard(path: Path, **options) -> tuple[np.ndarray, list[str]]:
    with MediaReader(path, **options) as reader:
        chunks = [event for event in reader.events() if isinstance(event, AudioChunk)]
    return np.concatenate([chunk.samples for chunk in chunks]), reader.warnings


def level(samples: np.ndarray) -> float:
    middle = samples[len(samples) // 4 : -len(samples) // 4]
    return float(np.sqrt(2 * np.mean(middle**2)))


def pitch(samples: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * SAMPLE_RATE / len(samples))


@pytest.mark.parametrize("second", [-1.0, -0.8])
@pytest.mark.parametrize("codec", ["pcm_s16le", "aac", "libmp3lame"])
def test_sides_of_opposite_phase_do_not_cancel(tmp_path, second, codec):
    voice = tone(1, level=0.4)
    path = write_media(
        tmp_path / "inverted.mkv",
        sound=np.stack([voice, second * voice]),
        layout="stereo",
        audio_codec=codec,
    )
    assert level(heard(path)[0]) == pytest.approx(0.4 * (1 - second) / 2, rel=0.05)


@pytest.mark.parametrize("channels", [*range(2, 9), 16])
def test_channels_that_cancel_are_replaced_by_one(tmp_path, channels):
    sound = np.zeros((channels, SAMPLE_RATE), np.float32)
    sound[0], sound[1] = tone(1), -tone(1)
    samples, _ = heard(write_wav(tmp_path / "wav.wav", sound))
    assert level(samples) == pytest.approx(0.5, rel=0.01)


@pytest.mark.parametrize("channels", range(1, 9))
def test_voice_on_all_channels_keeps_its_level(tmp_path, channels):
    sound = np.stack([tone(1, level=0.2)] * channels)
    samples, _ = heard(write_wav(tmp_path / "wav.wav", sound))
    # Film layouts add the centre and the surrounds to the sides.
    assert 0.19 < level(samples) < 0.7


def test_noise_of_opposite_phase_in_pauses_changes_nothing(tmp_path):
    voice = np.concatenate([tone(1), np.zeros(SAMPLE_RATE // 4, np.float32), tone(1)])
    hiss = tone(len(voice) / SAMPLE_RATE, 3000, level=0.01)
    path = write_wav(tmp_path / "hiss.wav", np.stack([voice + hiss, voice - hiss]))
    spectrum = np.abs(np.fft.rfft(heard(path)[0]))
    rate = SAMPLE_RATE / len(voice)
    assert spectrum[round(3000 / rate)] < 0.001 * spectrum.max()


def write_tracks(path: Path, sounds: Sequence[np.ndarray]) -> Path:
    with av.open(str(path), "w") as container:
        streams = [
            container.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout="mono") for _ in sounds
        ]
        for first in range(0, len(sounds[0]), 1600):
            for stream, sound in zip(streams, sounds, strict=True):
                block = (sound[first : first + 1600] * 32767).astype(np.int16)[None]
                frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
                frame.sample_rate, frame.time_base = SAMPLE_RATE, Fraction(1, SAMPLE_RATE)
                frame.pts = first
                container.mux(stream.encode(frame))
    return path


def test_silent_main_track_does_not_hide_another(tmp_path):
    silence = np.zeros(SAMPLE_RATE, np.float32)
    path = write_tracks(tmp_path / "two.mkv", [silence, tone(1, 600)])
    samples, warnings = heard(path)
    assert pitch(samples) == pytest.approx(600, abs=2)
    assert sorted(warnings) == ["no_video", "other_track"]
    assert level(heard(path, audio_track=1)[0]) == 0.0


@pytest.mark.parametrize("suffix", ["mkv", "mov"])
def test_main_track_is_kept_where_it_is_heard(tmp_path, suffix):
    late = np.concatenate([np.zeros(SAMPLE_RATE, np.float32), tone(1, 500, level=0.1)])
    path = write_tracks(tmp_path / f"two.{suffix}", [late, tone(2, 700)])
    samples, warnings = heard(path)
    assert pitch(samples) == pytest.approx(500, abs=2)
    assert warnings == ["no_video"]
    assert pitch(heard(path, audio_track=2)[0]) == pytest.approx(700, abs=2)


@pytest.mark.parametrize(
    ("number", "sentence"), [(3, "has 2 sound tracks.*from 1 to 2"), (0, "no track 0")]
)
def test_wrong_number_of_a_track_is_one_sentence(tmp_path, number, sentence):
    path = write_tracks(tmp_path / "two.mkv", [tone(1), tone(1)])
    with pytest.raises(AvtError, match=sentence):
        MediaReader(path, audio_track=number)


def test_track_of_a_silent_film_is_one_sentence(tmp_path):
    path = write_media(tmp_path / "film.mkv", picture_times=[0, 1])
    with pytest.raises(AvtError, match="no sound track"):
        MediaReader(path, audio_track=1)


@pytest.mark.parametrize("codec", ["pcm_f32le", "pcm_f64le"])
@pytest.mark.parametrize("scale", [1.0, 32768.0, 2.0**23, 2.0**31])
def test_floats_in_the_scale_of_integers_are_read_right(tmp_path, codec, scale):
    quiet = np.concatenate([np.zeros(8000), tone(0.5, level=0.001), tone(1, level=0.3)])
    sound = quiet.astype(np.float32)
    path = write_media(tmp_path / "float.wav", sound=scaled(sound, scale), audio_codec=codec)
    samples, _ = heard(path)
    assert level(samples[-SAMPLE_RATE:]) == pytest.approx(0.3, rel=0.02)


@pytest.mark.parametrize("loud", [1.5, 8.0])
def test_floats_beyond_full_scale_are_not_integers(tmp_path, loud):
    path = write_media(tmp_path / "hot.wav", sound=tone(1, level=loud), audio_codec="pcm_f32le")
    assert level(heard(path)[0]) > 0.9


def test_damage_does_not_make_floats_integers(tmp_path):
    sound = tone(1, level=0.3)
    sound[::50] = 30_000
    path = write_media(tmp_path / "hurt.wav", sound=sound, audio_codec="pcm_f32le")
    assert level(heard(path)[0]) > 0.25


def scaled(sound: np.ndarray, scale: float) -> np.ndarray:
    return sound if scale == 1.0 else np.round(sound * scale).astype(np.float32)
