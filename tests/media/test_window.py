"""Windows of long recordings: what reading from the start gives, without decoding all before."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from media_factory import speech_like, write_media

from avt_memocmt.media.packets import PacketReader
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.media.types import SAMPLE_RATE, AudioChunk, VideoFrame
from avt_memocmt.preprocessing.audio_preprocess import join_chunks

START, END = 25.3, 27.3
LENGTH = 32
SPEECH = speech_like(LENGTH)


def make(path: Path, video: str, audio: str, **options) -> Path:
    return write_media(
        path,
        picture_times=np.arange(LENGTH * 5) / 5,
        sound=SPEECH,
        size=(32, 32),
        video_codec=video,
        audio_codec=audio,
        **options,
    )


def window(path: Path, start: float = START, end: float = END):
    with MediaReader(path, start=start, end=end) as reader:
        events = list(reader.events())
    sound = [event for event in events if isinstance(event, AudioChunk)]
    samples = join_chunks(sound, start, end) if sound else np.zeros(0, np.float32)
    return reader, samples, [event for event in events if isinstance(event, VideoFrame)]


def from_the_start(path: Path) -> tuple[np.ndarray, list[VideoFrame]]:
    """The same window of what a whole reading gives."""
    with MediaReader(path, frames_per_second=5) as reader:
        events = list(reader.events())
    sound = [e for e in events if isinstance(e, AudioChunk) and e.end > START and e.start < END]
    pictures = [e for e in events if isinstance(e, VideoFrame) and START <= e.time < END]
    return join_chunks(sound, START, END), pictures


def decoded_packets(path: Path, start: float, end: float) -> int:
    with MediaReader(path) as reader:
        streams = list(reader._container.streams)
        source = PacketReader(reader._container, streams, reader.warnings.append)
        return sum(1 for _ in source.timed(streams, reader.info.duration, start, end))


@pytest.mark.parametrize(
    ("name", "video", "audio", "options"),
    [
        ("b.mp4", "libx264", "aac", {"video_options": {"bf": "3", "g": "50", "preset": "fast"}}),
        ("live.mkv", "libx264", "libopus", {"options": {"live": "1"}}),
        ("long.avi", "mpeg4", "libmp3lame", {}),
        ("long.ts", "libx264", "mp2", {}),
        ("one.mkv", "libx264", "pcm_s16le", {"video_options": {"g": "9999", "preset": "fast"}}),
    ],
)
def test_window_equals_reading_from_the_start(tmp_path, name, video, audio, options):
    path = make(tmp_path / name, video, audio, **options)
    reader, samples, pictures = window(path)
    expected, expected_pictures = from_the_start(path)
    assert reader.warnings == []
    assert len(samples) == round((END - START) * SAMPLE_RATE)
    lag = np.argmax(np.correlate(expected[2000:8000], samples[4000:6000], "valid")) - 2000
    assert abs(int(lag)) <= 0.072 * SAMPLE_RATE  # a packet
    known = {round(picture.time, 2): picture.image for picture in expected_pictures}
    assert len(pictures) == 8
    for picture in pictures:
        np.testing.assert_array_equal(picture.image, known[round(picture.time, 2)])
    if name != "one.mkv":
        assert decoded_packets(path, START, END) < 0.4 * decoded_packets(path, 0, END)


def test_window_of_glued_recordings_is_found_by_reading(tmp_path):
    part = make(tmp_path / "part.ts", "libx264", "mp2")
    path = tmp_path / "both.ts"
    path.write_bytes(2 * part.read_bytes())
    reader, samples, pictures = window(path, LENGTH + START, LENGTH + END)
    assert reader.warnings == ["clock_jump"]
    assert len(samples) == round((END - START) * SAMPLE_RATE)
    assert len(pictures) == 8


def test_window_behind_the_end_of_the_pictures_ends_reading(tmp_path):
    # A recording with a cover at its start.
    path = write_media(
        tmp_path / "cover.mkv",
        picture_times=[0, 1],
        sound=speech_like(60),
        audio_codec="pcm_s16le",
    )
    reader, samples, pictures = window(path, 30, 32)
    assert (len(samples), reader.warnings) == (2 * SAMPLE_RATE, [])
    assert [picture.time for picture in pictures] == [30]  # it is still shown
    assert decoded_packets(path, 30, 32) < 0.3 * decoded_packets(path, 0, 60)


@pytest.mark.parametrize("start", [5.0, 100.0])
def test_window_behind_the_end_is_empty(tmp_path, start):
    path = write_media(
        tmp_path / "short.mkv", picture_times=np.arange(75) / 25, sound=speech_like(3)
    )
    reader, samples, pictures = window(path, start, start + 2)
    assert (len(samples), pictures, reader.warnings) == (0, [], [])
    assert reader.reached == pytest.approx(3.0, abs=0.1)


def test_jump_into_a_damaged_index_is_not_trusted(tmp_path):
    path = make(tmp_path / "long.mkv", "libx264", "pcm_s16le")
    data = bytearray(path.read_bytes())
    cues = data.rindex(b"\x1c\x53\xbb\x6b")
    data[cues + 8 :] = bytes(len(data) - cues - 8)
    path.write_bytes(data)
    _, samples, pictures = window(path)
    assert len(samples) == round((END - START) * SAMPLE_RATE)
    assert len(pictures) == 8
    with av.open(str(path)) as container:
        assert container.duration
