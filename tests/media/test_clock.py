"""One clock for sound and pictures: late starts, holes, joints, damaged and wrapped timestamps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_factory import tone, write_media

from avt_memocmt.media.clock import MediaClock, TimedPacket
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.media.types import AudioChunk, VideoFrame

RATE = 16_000
WRAP = 2**33 / 90_000


def read(path: Path, **options) -> tuple[MediaReader, list[AudioChunk], list[VideoFrame]]:
    with MediaReader(path, **options) as reader:
        events = list(reader.events())
    sound = [event for event in events if isinstance(event, AudioChunk)]
    return reader, sound, [event for event in events if isinstance(event, VideoFrame)]


def stretches(sound: Sequence[AudioChunk]) -> list[float]:
    """Starts and ends of the stretches without holes, in seconds."""
    found: list[float] = []
    for chunk in sound:
        if not found or chunk.start - found[-1] > 0.01:
            found += [chunk.start, chunk.end]
        found[-1] = chunk.end
    return found


def write_packets(
    path: Path, starts: Sequence[float], options: dict[str, str] | None = None
) -> Path:
    """Sound in blocks of 0.1 s at the given times, with the timestamps as they are."""
    with av.open(str(path), "w", options=options or {}) as container:
        codec = "pcm_s16le" if path.suffix == ".mkv" else "mp2"
        stream = container.add_stream(codec, rate=RATE, layout="mono")
        stream.codec_context.time_base = Fraction(1, RATE)
        size = 1600 if codec == "pcm_s16le" else 1152
        for start in starts:
            block = (tone(size / RATE) * 32767).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
            frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
            frame.pts = round(start * RATE)
            for packet in stream.encode(frame):
                container.mux(packet)
    return path


def clip(path: Path, seconds: float = 3.0, shift: float = 0.0) -> Path:
    """Sound and 25 pictures a second, both with all timestamps shifted."""
    times = np.arange(round(seconds * 25)) / 25 + shift
    return write_media(
        path,
        picture_times=times,
        sound=tone(seconds, rate=48_000),
        rate=48_000,
        sound_start=shift,
        video_codec="libx264" if path.suffix == ".mkv" else "mpeg2video",
        audio_codec="aac" if path.suffix == ".mkv" else "mp2",
    )


def glued(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


@pytest.mark.parametrize("late", [0.5, 62.0, 700.0])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_sound_that_begins_late_keeps_its_time(tmp_path, late, suffix):
    path = write_media(
        tmp_path / f"late.{suffix}",
        picture_times=np.arange(0, late + 2, 0.5),
        sound=tone(2),
        sound_start=late,
        size=(32, 32),
    )
    reader, sound, pictures = read(path)
    assert sound[0].start == pytest.approx(late, abs=0.07)
    assert pictures[-1].time == pytest.approx(late + 1.5, abs=0.07)
    assert reader.warnings == []


@pytest.mark.parametrize("hole", [0.3, 50.0, 75.0, 3000.0])
@pytest.mark.parametrize("live", [False, True])
def test_hole_of_any_length_is_kept(tmp_path, hole, live):
    starts = [*np.arange(10) / 10, *(1.0 + hole + np.arange(10) / 10)]
    path = write_packets(tmp_path / "hole.mkv", starts, {"live": "1"} if live else None)
    reader, sound, _ = read(path)
    assert stretches(sound) == pytest.approx([0, 1, 1 + hole, 2 + hole], abs=0.01)
    assert reader.warnings == ["no_video"]
    assert reader.reached == pytest.approx(2 + hole, abs=0.01)


@pytest.mark.parametrize("suffix", ["mpg", "ts", "mkv", "vob"])
def test_glued_files_run_on(tmp_path, suffix):
    one, two = clip(tmp_path / f"one.{suffix}"), clip(tmp_path / f"two.{suffix}", 2.0)
    reader, sound, pictures = read(glued(tmp_path / f"both.{suffix}", one, two))
    assert reader.warnings == ["clock_jump"]
    assert reader.reached == pytest.approx(5.0, abs=0.1)
    assert sum(len(chunk.samples) for chunk in sound) == pytest.approx(5 * RATE, rel=0.03)
    assert len(pictures) == pytest.approx(20, abs=1)
    assert 4.7 < pictures[-1].time < 5.05


def test_many_glued_films_run_on(tmp_path):
    parts = [clip(tmp_path / f"{number}.mpg", 1.0 + number % 2) for number in range(5)]
    _, sound, pictures = read(glued(tmp_path / "all.mpg", *parts))
    assert sum(len(chunk.samples) for chunk in sound) == pytest.approx(7 * RATE, rel=0.03)
    assert sound[-1].end == pytest.approx(7.0, abs=0.25)
    assert pictures[-1].time == pytest.approx(6.8, abs=0.4)


@pytest.mark.parametrize(("first", "second"), [(500.0, 0.0), (0.0, 93_000.0), (60_000.0, 10.0)])
def test_glued_transport_streams_of_other_clocks_run_on(tmp_path, first, second):
    # FFmpeg takes a clock that starts lower for one that has wrapped, 26.5 hours later.
    one, two = clip(tmp_path / "one.ts", 2, first), clip(tmp_path / "two.ts", 2, second)
    reader, sound, pictures = read(glued(tmp_path / "both.ts", one, two))
    assert reader.warnings == ["clock_jump"]
    assert reader.reached == pytest.approx(4.0, abs=0.15)
    assert sound[-1].end == pytest.approx(pictures[-1].time + 0.2, abs=0.25)


def test_wrap_of_the_clock_of_mpeg_is_no_jump(tmp_path):
    path = clip(tmp_path / "wrap.ts", 6, WRAP - 4)
    _, sound, pictures = read(path)
    assert stretches(sound) == pytest.approx([0, 6], abs=0.1)
    assert pictures[-1].time == pytest.approx(5.8, abs=0.2)


def changed(
    path: Path, change: Callable[[int, float], float], length: float | None
) -> tuple[list[float], list[str]]:
    """Times that the clock gives packets whose timestamps were changed before, and warnings.

    Args:
        change: takes the number and the time of a packet, in seconds, and gives a new time.
        length: see `MediaClock`.
    """
    warnings: list[str] = []
    with av.open(str(path)) as container:
        (stream,) = container.streams
        packets: list[TimedPacket] = []
        for number, packet in enumerate(p for p in container.demux(stream) if p.size):
            time = float(packet.pts * packet.time_base)
            packet.pts = packet.dts = round(change(number, time) / packet.time_base)
            packets.append((stream, packet))
        clock = MediaClock(0.0, length, warnings.append)
        found = [float(p.pts * p.time_base) for _, p in clock.follow(packets) if p is not None]
    return found, warnings


@pytest.fixture(scope="module")
def eight_seconds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clock")
    return write_packets(folder / "whole.mkv", np.arange(80) / 10)


@pytest.mark.parametrize("length", [None, 8.0])
def test_clock_that_is_reset_in_the_middle_runs_on(eight_seconds, length):
    found, warnings = changed(eight_seconds, lambda n, time: time if n < 40 else time - 4, length)
    assert found == pytest.approx(np.arange(80) / 10, abs=0.01)
    assert warnings == ["clock_jump"]


@pytest.mark.parametrize("length", [None, 8.0])
@pytest.mark.parametrize("wrong", [-7.0, 3.0, 94_000.0])
@pytest.mark.parametrize("place", [0, 1, 30, 78])
def test_one_damaged_timestamp_moves_nothing(eight_seconds, length, wrong, place):
    found, warnings = changed(
        eight_seconds, lambda n, time: time + wrong if n == place else time, length
    )
    assert found == pytest.approx(np.arange(80) / 10, abs=0.01)
    assert warnings == []


def test_damaged_stretch_beyond_the_end_moves_nothing(eight_seconds):
    # A damaged cluster of Matroska carries all its packets with it.
    found, _ = changed(eight_seconds, lambda n, time: time + 94_000 if 30 <= n < 40 else time, 8.0)
    assert found == pytest.approx(np.arange(80) / 10, abs=0.01)


def test_duration_is_what_was_read(tmp_path):
    live = write_media(
        tmp_path / "live.webm", sound=tone(4, rate=48_000), rate=48_000, audio_codec="libopus",
        options={"live": "1"},
    )  # fmt: skip
    assert MediaReader(live).info.duration is None
    assert read(live)[0].reached == pytest.approx(4.0, abs=0.05)
