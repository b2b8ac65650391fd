"""Files that are shorter than their headers say, or hold a second recording that is not read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from media_factory import tone, truncate, write_media, write_wav

from avt_memocmt.media.reader import MediaReader
from avt_memocmt.media.stated_size import size_warning

SUFFIXES = ["wav", "avi", "aiff", "au", "caf", "w64", "mp3", "wma", "flac", "mkv", "mp4", "flv"]
TIMES = np.arange(150) / 25


def warnings(path: Path) -> list[str]:
    with MediaReader(path) as reader:
        for _ in reader.events():
            pass
    return [name for name in reader.warnings if name not in ("no_video", "corrupt_audio")]


def make(path: Path) -> Path:
    """Six seconds in the format of the suffix."""
    codecs = {".mp3": "libmp3lame", ".wma": "libmp3lame", ".flac": "flac"}
    if path.suffix == ".avi":
        return write_media(
            path, picture_times=TIMES, sound=tone(6), video_codec="mpeg4", audio_codec="libmp3lame"
        )
    if path.suffix in (".mp4", ".flv", ".mkv"):
        options = {"movflags": "frag_keyframe+empty_moov"} if path.suffix == ".mp4" else {}
        return write_media(path, picture_times=TIMES, sound=tone(6), options=options)
    codec = codecs.get(path.suffix, "pcm_s16be" if path.suffix in (".aiff", ".au") else "pcm_s16le")
    return write_media(path, sound=tone(6), audio_codec=codec)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_cut_file_is_truncated_and_whole_one_is_not(tmp_path, suffix):
    path = make(tmp_path / f"whole.{suffix}")
    assert warnings(path) == []
    assert "truncated" in warnings(truncate(path, 0.55))


@pytest.mark.parametrize("stated", [0, 0x7FFF_FFFF, 0xFFFF_FFFF])
def test_header_that_was_never_completed_says_nothing(tmp_path, stated):
    path = write_wav(tmp_path / "piped.wav", tone(2))
    data = bytearray(path.read_bytes())
    data[4:8] = stated.to_bytes(4, "little")
    data[40:44] = stated.to_bytes(4, "little")
    path.write_bytes(data)
    assert warnings(path) == []


@pytest.mark.parametrize("suffix", ["wav", "mp4", "w64", "flv", "aiff", "wma"])
def test_second_recording_that_is_not_read_is_said(tmp_path, suffix):
    path = make(tmp_path / f"both.{suffix}")
    path.write_bytes(2 * path.read_bytes())
    with MediaReader(path) as reader:
        list(reader.events())
    assert "rest_unread" in reader.warnings or reader.reached == pytest.approx(12, abs=0.3)


def test_numbers_that_lead_nowhere_are_survived(tmp_path):
    generator = np.random.default_rng(0)
    for suffix in ("wav", "mp4", "caf", "mp3"):
        whole = make(tmp_path / f"whole.{suffix}").read_bytes()
        for number in range(20):
            data = bytearray(whole)
            for place in generator.integers(0, 64, 4):
                data[place] = generator.integers(256)
            path = tmp_path / f"{number}.{suffix}"
            path.write_bytes(data)
            assert size_warning(path, len(data)) in (None, "truncated", "rest_unread")
