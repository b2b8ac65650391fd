"""Sampled pictures, in memory and as files."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from media_factory import picture, tone, write_media, write_wav

from avt_memocmt.errors import AvtError
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.preprocessing.video_preprocess import (
    evenly_spaced,
    extract_frames,
    sample_frames,
)


@pytest.fixture
def clip(tmp_path):
    """Two seconds at 25 pictures a second, the brightness of each telling its number."""
    return write_media(
        tmp_path / "clip.mp4",
        picture_times=np.arange(50) / 25,
        sound=tone(2),
        shades=[4 * index for index in range(50)],
    )


def number(image: np.ndarray) -> int:
    """Index of a picture of `clip`."""
    return round(float(image[-8:, -8:].mean()) / 4)


@pytest.mark.parametrize("rate", [1.0, 4.0, 10.0, 25.0, 60.0])
def test_times_and_pictures_belong_together(clip, rate):
    frames = list(sample_frames(clip, rate))
    assert len(frames) == min(2 * rate, 50)
    assert [number(frame.image) for frame in frames] == [round(f.time * 25) for f in frames]
    ticks = [int(frame.time * rate + 1e-6) for frame in frames]
    assert ticks == sorted(set(ticks))


def pictures(path, rate=4.0, **options):
    with MediaReader(path, rate, only="video", **options) as reader:
        return list(reader.events())


def test_window(clip):
    times = [frame.time for frame in pictures(clip, 5.0, start=0.43, end=1.0)]
    assert times == pytest.approx([0.44, 0.64, 0.84])


def test_short_window_still_gives_a_picture(clip):
    assert [number(frame.image) for frame in pictures(clip, 1.0, start=1.5, end=1.6)] == [38]


def test_still_image(tmp_path):
    cv2.imwrite(str(tmp_path / "face.png"), picture(64, 48, 90))
    frames = pictures(tmp_path / "face.png", max_side=32)
    assert [(frame.time, frame.image.shape) for frame in frames] == [(0.0, (24, 32, 3))]


def test_sound_without_pictures_is_refused(tmp_path):
    path = write_wav(tmp_path / "voice.wav", tone(1))
    with pytest.raises(AvtError, match="has no pictures"):
        list(sample_frames(path))


def test_extracted_files_are_named_by_time(clip, tmp_path):
    folder = tmp_path / "new" / "frames"
    files = extract_frames(clip, folder, 2.0)
    assert [file.name for file in files] == [
        "00000000.jpg",
        "00000520.jpg",
        "00001000.jpg",
        "00001520.jpg",
    ]
    assert sorted(folder.iterdir()) == files
    image = cv2.imread(str(files[1]))[..., ::-1]
    assert number(image) == 13
    assert image[4, 4].astype(int) == pytest.approx([255, 0, 0], abs=40)


def test_folder_that_is_a_file_is_refused(clip):
    with pytest.raises(AvtError, match="cannot make the folder"):
        extract_frames(clip, clip, 2.0)


def test_evenly_spaced():
    assert evenly_spaced(range(10), 4) == [0, 3, 6, 9]
    assert evenly_spaced([1, 2, 3], 8) == [1, 2, 3]
    assert evenly_spaced([], 3) == []
    assert evenly_spaced("abc", 1) == ["b"]
    with pytest.raises(ValueError, match="at least 1"):
        evenly_spaced([1], 0)


@pytest.mark.parametrize("limit", range(2, 40, 7))
@pytest.mark.parametrize("count", [40, 41, 997])
def test_evenly_spaced_keeps_order_ends_and_distance(count, limit):
    chosen = evenly_spaced(range(count), limit)
    steps = np.diff(chosen)
    assert len(chosen) == limit
    assert (chosen[0], chosen[-1]) == (0, count - 1)
    assert steps.max() - steps.min() <= 1
