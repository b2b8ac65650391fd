"""One-pass decoding: times, channels, orientation, damage, memory."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from media_factory import (
    flip_bytes,
    picture,
    set_rotation,
    tone,
    truncate,
    write_media,
    write_wav,
)
from PIL import Image, ImageCms

from avt_memocmt.errors import AvtError
from avt_memocmt.media.discovery import find_media
from avt_memocmt.media.read_ahead import read_ahead
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.media.types import SAMPLE_RATE, AudioChunk, VideoFrame

THREE_SECONDS = np.arange(75) / 25


def read(path: Path, **options) -> tuple[MediaReader, list[AudioChunk], list[VideoFrame]]:
    with MediaReader(path, **options) as reader:
        events = list(reader.events())
    sound = [event for event in events if isinstance(event, AudioChunk)]
    pictures = [event for event in events if isinstance(event, VideoFrame)]
    return reader, sound, pictures


def joined(chunks: list[AudioChunk]) -> np.ndarray:
    return np.concatenate([chunk.samples for chunk in chunks])


def level(samples: np.ndarray) -> float:
    """Amplitude of a sine, from its middle half."""
    middle = samples[len(samples) // 4 : -len(samples) // 4]
    return float(np.sqrt(2 * np.mean(middle**2)))


def red_corner(image: np.ndarray) -> tuple[int, int]:
    """(bottom?, right?) of the red quarter of `picture`."""
    height, width = image.shape[:2]
    for bottom in (0, 1):
        for right in (0, 1):
            red, green, _ = image[height // 4 + bottom * height // 2][
                width // 4 + right * width // 2
            ].astype(int)
            if red - green > 100:
                return bottom, right
    raise AssertionError("no red quarter")


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "aac"), ("mkv", "flac"), ("mov", "aac")])
def test_both_streams_in_one_pass(tmp_path, suffix, codec):
    stereo = np.stack([tone(3, rate=48_000)] * 2)
    path = write_media(
        tmp_path / f"clip.{suffix}",
        picture_times=THREE_SECONDS,
        sound=stereo,
        rate=48_000,
        layout="stereo",
        audio_codec=codec,
    )
    reader, sound, pictures = read(path)
    assert reader.info.kind == "video"
    assert reader.info.duration == pytest.approx(3.0, abs=0.05)
    assert reader.warnings == []
    assert sound[0].start == 0.0
    assert all(chunk.samples.dtype == np.float32 for chunk in sound)
    assert sound[-1].end == pytest.approx(3.0, abs=0.05)
    assert all(a.end == pytest.approx(b.start) for a, b in pairwise(sound))
    # The first picture at or after each quarter of a second, at 25 a second.
    expected = [0, 0.28, 0.52, 0.76, 1, 1.28, 1.52, 1.76, 2, 2.28, 2.52, 2.76]
    assert [frame.time for frame in pictures] == pytest.approx(expected)
    assert pictures[0].image.shape == (48, 64, 3)
    assert red_corner(pictures[0].image) == (0, 0)


def test_events_are_interleaved(tmp_path):
    path = write_media(tmp_path / "clip.mkv", picture_times=THREE_SECONDS, sound=tone(3))
    with MediaReader(path) as reader:
        times = [e.start if isinstance(e, AudioChunk) else e.time for e in reader.events()]
    assert max(a - b for a, b in pairwise(times)) < 0.5


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_resampling_keeps_pitch_and_duration(tmp_path, rate):
    _, sound, _ = read(write_wav(tmp_path / "tone.wav", tone(1, 1000, rate), rate))
    samples = joined(sound)
    assert len(samples) == pytest.approx(SAMPLE_RATE, abs=2)
    peak = np.argmax(np.abs(np.fft.rfft(samples))) * SAMPLE_RATE / len(samples)
    assert peak == pytest.approx(1000, abs=1.5)
    assert level(samples) == pytest.approx(0.5, rel=0.01)


def test_resampling_removes_what_16_khz_cannot_hold(tmp_path):
    _, sound, _ = read(write_wav(tmp_path / "high.wav", tone(1, 12_000, 48_000), 48_000))
    assert level(joined(sound)) < 0.005


@pytest.mark.parametrize("codec", ["pcm_s16le", "ac3"])
def test_dialogue_in_the_centre_of_5_1_survives(tmp_path, codec):
    channels = np.zeros((6, 48_000), dtype=np.float32)
    channels[2] = tone(1, 500, 48_000)  # FL FR FC LFE BL BR
    channels[3] = tone(1, 50, 48_000)
    path = write_media(
        tmp_path / "film.mkv", sound=channels, rate=48_000, layout="5.1", audio_codec=codec
    )
    samples = joined(read(path)[1])
    # -3 dB, and nothing of the low-frequency channel.
    assert level(samples) == pytest.approx(0.5 * 2**-0.5, rel=0.03)
    spectrum = np.abs(np.fft.rfft(samples))
    assert spectrum[50 * len(samples) // SAMPLE_RATE] < 0.01 * spectrum.max()


@pytest.mark.parametrize(("channels", "gain"), [(1, 1.0), (2, 0.5), (3, 1 / 3), (7, 1 / 7)])
def test_one_channel_among_several_is_mixed_in(tmp_path, channels, gain):
    sound = np.zeros((channels, SAMPLE_RATE), dtype=np.float32)
    sound[0] = tone(1)
    _, chunks, _ = read(write_wav(tmp_path / "wav.wav", sound))
    assert level(joined(chunks)) == pytest.approx(0.5 * gain, rel=0.01)


def test_loud_stereo_does_not_clip(tmp_path):
    loud = np.stack([tone(1, level=0.95)] * 2)
    samples = joined(read(write_wav(tmp_path / "loud.wav", loud))[1])
    assert level(samples) == pytest.approx(0.95, rel=0.01)


def test_damaged_float_samples_are_made_safe(tmp_path):
    sound = tone(0.5)
    path = write_media(tmp_path / "f.wav", sound=sound, audio_codec="pcm_f32le")
    data = bytearray(path.read_bytes())
    data[-800:-400] = np.full(100, np.nan, "<f4").tobytes()
    data[-400:] = np.full(100, 1e30, "<f4").tobytes()
    path.write_bytes(data)
    samples = joined(read(path)[1])
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() <= 1.0


def test_late_sound_keeps_its_offset(tmp_path):
    path = write_media(
        tmp_path / "late.mkv",
        picture_times=THREE_SECONDS,
        sound=tone(1.5),
        sound_start=1.25,
        audio_codec="flac",
    )
    _, sound, pictures = read(path)
    assert pictures[0].time == 0.0
    assert sound[0].start == pytest.approx(1.25, abs=0.002)
    assert sound[-1].end == pytest.approx(2.75, abs=0.003)


def test_late_pictures_keep_their_offset(tmp_path):
    path = write_media(tmp_path / "late.mkv", picture_times=THREE_SECONDS + 1.5, sound=tone(2))
    _, sound, pictures = read(path)
    assert sound[0].start == 0.0
    assert pictures[0].time == pytest.approx(1.5, abs=0.002)


def test_slow_video_does_not_move_the_origin(tmp_path):
    # FFmpeg takes the second picture for the start of this file.
    path = write_media(
        tmp_path / "slow.mkv",
        picture_times=[0, 1, 2],
        sound=tone(1),
        sound_start=1.0,
        audio_codec="flac",
    )
    for only in (None, "audio", "video"):
        _, sound, pictures = read(path, only=only)
        assert [frame.time for frame in pictures] == ([] if only == "audio" else [0, 1, 2])
        assert [chunk.start for chunk in sound[:1]] == ([] if only == "video" else [1.0])


def test_clock_of_a_transport_stream_starts_at_zero(tmp_path):
    path = write_media(
        tmp_path / "tv.ts", picture_times=THREE_SECONDS + 10, sound=tone(3), sound_start=10
    )
    with av.open(str(path)) as container:
        assert container.start_time > av.time_base
    _, sound, pictures = read(path)
    assert min(sound[0].start, pictures[0].time) == pytest.approx(0.0, abs=0.001)
    assert max(sound[0].start, pictures[0].time) < 0.1


def test_hole_in_the_sound_shows_in_chunk_start(tmp_path):
    path = tmp_path / "hole.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout="mono")
        for start in (0.0, 0.25, 2.0, 2.25):
            frame = av.AudioFrame.from_ndarray(
                (tone(0.25) * 32767).astype(np.int16)[None], format="s16", layout="mono"
            )
            frame.sample_rate, frame.time_base = SAMPLE_RATE, Fraction(1, SAMPLE_RATE)
            frame.pts = round(start * SAMPLE_RATE)
            container.mux(stream.encode(frame))
    _, sound, _ = read(path)
    assert [chunk.start for chunk in sound] == pytest.approx([0.0, 0.25, 2.0, 2.25], abs=0.002)


def test_variable_frame_rate_keeps_true_times(tmp_path):
    times = [0, 0.04, 0.5, 0.9, 0.93, 2.0, 2.01, 5.0]
    path = write_media(tmp_path / "vfr.mkv", picture_times=times, shades=range(0, 160, 20))
    _, _, pictures = read(path)
    assert [frame.time for frame in pictures] == pytest.approx([0, 0.5, 0.9, 2.0, 5.0])
    shades = [int(frame.image[-4, -4].mean()) for frame in pictures]
    assert shades == pytest.approx([0, 40, 60, 100, 140], abs=6)


def test_two_frame_clip_and_short_sound(tmp_path):
    path = write_media(tmp_path / "two.mp4", picture_times=[0, 0.04], sound=tone(0.08))
    reader, sound, pictures = read(path)
    assert [frame.time for frame in pictures] == [0.0]
    assert len(joined(sound)) > 0
    assert reader.warnings == []
    assert len(joined(read(write_wav(tmp_path / "s.wav", tone(0.05)))[1])) == 800


# (a, b, c, d): a quarter turn clockwise, counter-clockwise, half a turn, mirrored.
@pytest.mark.parametrize(
    ("matrix", "shape", "corner"),
    [
        ((0, 1, -1, 0), (64, 48), (0, 1)),
        ((0, -1, 1, 0), (64, 48), (1, 0)),
        ((-1, 0, 0, -1), (48, 64), (1, 1)),
        ((-1, 0, 0, 1), (48, 64), (0, 1)),
    ],
)
def test_rotation_is_applied(tmp_path, matrix, shape, corner):
    path = write_media(tmp_path / "phone.mp4", picture_times=[0, 0.04])
    _, _, pictures = read(set_rotation(path, matrix))
    assert pictures[0].image.shape[:2] == shape
    assert red_corner(pictures[0].image) == corner


@pytest.mark.parametrize("name", ["photo.jpg", "screenshot.png"])
def test_photo_turned_by_exif(tmp_path, name):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn 90 degrees clockwise to view
    # A PNG with both killed the process.
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo = Image.fromarray(picture(64, 48, 90))
    photo.save(tmp_path / name, exif=exif, icc_profile=profile)
    _, _, pictures = read(tmp_path / name)
    assert pictures[0].image.shape == (64, 48, 3)
    assert red_corner(pictures[0].image) == (0, 1)


def test_large_pictures_are_scaled_down(tmp_path):
    path = write_media(tmp_path / "wide.mp4", picture_times=[0], size=(320, 160))
    assert read(path, max_side=100)[2][0].image.shape == (50, 100, 3)
    assert read(path, max_side=1000)[2][0].image.shape == (160, 320, 3)


@pytest.mark.parametrize("name", ["face.jpg", "face.png", "face.webp", "face.bmp", "a%03d.png"])
def test_image_is_one_picture_at_time_zero(tmp_path, name):
    cv2.imwrite(str(tmp_path / name), picture(64, 48, 90)[..., ::-1])
    reader, sound, pictures = read(tmp_path / name)
    assert (reader.info.kind, reader.info.duration) == ("image", None)
    assert reader.warnings == []
    assert sound == []
    assert [frame.time for frame in pictures] == [0.0]
    assert red_corner(pictures[0].image) == (0, 0)


def test_missing_kinds_are_named(tmp_path):
    silent = write_media(tmp_path / "silent.mp4", picture_times=THREE_SECONDS)
    reader, sound, _ = read(silent)
    assert (reader.warnings, sound, reader.info.has_audio) == (["no_audio"], [], False)
    reader, _, pictures = read(write_wav(tmp_path / "voice.wav", tone(1)))
    assert (reader.info.kind, reader.warnings, pictures) == ("audio", ["no_video"], [])


def test_cover_art_is_not_video(tmp_path):
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as container:
        audio = container.add_stream("libmp3lame", rate=SAMPLE_RATE, layout="mono")
        cover = container.add_stream("mjpeg", rate=25)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        image = av.VideoFrame.from_ndarray(picture(64, 48, 90), format="rgb24")
        container.mux(cover.encode(image) + cover.encode(None))
        sound = av.AudioFrame.from_ndarray(tone(1)[None], format="fltp", layout="mono")
        sound.sample_rate, sound.pts = SAMPLE_RATE, 0
        container.mux(audio.encode(sound) + audio.encode(None))
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1
    reader, sound, pictures = read(path)
    assert (reader.info.kind, reader.info.has_video, pictures) == ("audio", False, [])
    assert sound


def test_window_bounds_what_is_yielded(tmp_path):
    path = write_media(tmp_path / "clip.mkv", picture_times=THREE_SECONDS, sound=tone(3))
    reader, sound, pictures = read(path, start=1.1, end=1.7)
    assert [frame.time for frame in pictures] == pytest.approx([1.12, 1.4, 1.64])
    assert sound[0].start <= 1.1 < sound[0].end
    assert sound[-1].start < 1.7 <= sound[-1].end
    assert reader.warnings == []


def test_truncated_with_index_in_front_gives_what_is_left(tmp_path):
    path = write_media(
        tmp_path / "cut.mp4",
        picture_times=THREE_SECONDS,
        sound=tone(3),
        options={"movflags": "faststart"},
    )
    reader, sound, pictures = read(truncate(path, 0.6))
    assert "truncated" in reader.warnings
    assert 0.5 < sound[-1].end < 2.5
    assert 2 <= len(pictures) < 12


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi"])
def test_flipped_bytes_are_survived_with_a_warning(tmp_path, suffix):
    options = {"movflags": "faststart"} if suffix == "mp4" else {}
    path = write_media(
        tmp_path / f"bits.{suffix}", picture_times=THREE_SECONDS, sound=tone(3), options=options
    )
    warnings: set[str] = set()
    whole = path.read_bytes()
    for seed in range(4):
        path.write_bytes(whole)
        reader, sound, pictures = read(flip_bytes(path, 60, seed))
        assert len(reader.warnings) == len(set(reader.warnings))
        warnings |= set(reader.warnings)
        assert sound
        assert pictures
        assert [f.time for f in pictures] == sorted({f.time for f in pictures})
        assert all(a.end <= b.start + 1e-9 for a, b in pairwise(sound))
    assert {"corrupt_frames", "corrupt_audio"} & warnings


def no_moov(folder: Path) -> Path:
    return truncate(write_media(folder / "cut.mp4", picture_times=THREE_SECONDS), 0.6)


def written(name: str, data: bytes):
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return make


SUBTITLES = b"1\n00:00:01,000 --> 00:00:04,000\nHello there\n"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda folder: folder / "nowhere.mp4", "does not exist"),
        (lambda folder: folder, "is not a file"),
        (written("empty.mp4", b""), "empty"),
        (written("noise.mp4", bytes(range(256)) * 40), "not media"),
        (written("noise.jpg", b"\xff\xd8\xff\xe0" + bytes(500)), "cannot be decoded"),
        (written("notes.txt", b"just some words\n" * 20), "not media|neither"),
        (written("art.nfo", b"\x1b[31mred words\x1b[0m\n" * 99), "not media|neither"),
        (written("talk.srt", SUBTITLES), "neither sound nor pictures"),
        (written("talk.mp4", SUBTITLES), "neither sound nor pictures"),
        (no_moov, "moov"),
    ],
)
def test_bad_input_is_one_clear_sentence(tmp_path, make, reason):
    path = make(tmp_path)
    with pytest.raises(AvtError, match=reason) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_long_video_is_decoded_with_bounded_memory(tmp_path):
    path = write_media(
        tmp_path / "long.mkv",
        picture_times=np.arange(600) / 2,
        sound=tone(300, rate=SAMPLE_RATE),
        size=(32, 32),
        shades=[50] * 600,
        video_codec="mpeg4",
        audio_codec="pcm_s16le",
    )
    alive: list[weakref.ref] = []
    most = count = 0
    with MediaReader(path) as reader:
        for event in reader.events():
            alive.append(weakref.ref(event))
            alive = [reference for reference in alive if reference() is not None]
            most, count = max(most, len(alive)), count + 1
    assert count > 1000 + 500
    # A picture, and the half second of sound before the next one.
    assert most <= 12


def test_reading_goes_no_further_than_asked(tmp_path):
    path = write_media(
        tmp_path / "long.mkv",
        picture_times=np.arange(120) / 2,
        sound=tone(60),
        video_codec="mpeg4",
        audio_codec="pcm_s16le",
    )
    size = path.stat().st_size
    with MediaReader(path) as reader:
        events = reader.events()
        next(events)
        with path.open("r+b") as file:
            file.truncate(size // 2)
        last = max(event.end for event in events if isinstance(event, AudioChunk))
    assert 20 < last < 40
    assert "truncated" in reader.warnings


def test_find_media(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / ".hidden").mkdir()
    names = ["z.MP4", "b/a.wav", "b/._a.wav", ".c.mp4", ".hidden/d.mp4", "notes.txt"]
    for name in names:
        (tmp_path / name).touch()
    assert find_media(tmp_path) == [tmp_path / "b/a.wav", tmp_path / "z.MP4"]
    assert find_media(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]
    with pytest.raises(AvtError, match="does not exist"):
        find_media(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(AvtError, match="no media file"):
        find_media(tmp_path / "empty")


def test_clips_of_talking_faces(talking_clips):
    for clip in talking_clips:
        reader, sound, pictures = read(clip.path)
        assert reader.warnings == []
        assert joined(sound).size == pytest.approx(3 * SAMPLE_RATE, rel=0.02)
        assert len(pictures) == 12


def test_reading_ahead_gives_the_same_events(tmp_path: Path) -> None:
    path = write_media(tmp_path / "clip.mkv", picture_times=THREE_SECONDS, sound=tone(3))
    _, sound, pictures = read(path)
    with MediaReader(path) as reader:
        events = list(reader.events_ahead())
    assert [e.time for e in events if isinstance(e, VideoFrame)] == [p.time for p in pictures]
    heard = [event for event in events if isinstance(event, AudioChunk)]
    np.testing.assert_array_equal(joined(heard), joined(sound))


def test_reader_closed_while_it_reads_ahead_stops(tmp_path: Path) -> None:
    path = write_media(tmp_path / "clip.mkv", picture_times=THREE_SECONDS, sound=tone(3))
    before = threading.active_count()
    with MediaReader(path) as reader:
        events = reader.events_ahead()
        next(events)
    assert threading.active_count() == before
    with pytest.raises(StopIteration):
        next(events)


def test_what_goes_wrong_ahead_is_raised_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        raise AvtError("broken")

    ahead = read_ahead(items(), 8)
    assert [next(ahead) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(AvtError, match="broken"):
        next(ahead)
