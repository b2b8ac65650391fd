"""Grey pictures between the sampled ones, in which mouths are read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from footage import Spoken
from media_factory import set_rotation, speech_like, write_media

from avt_memocmt.media.backlog import MOST_BETWEEN, MOST_FRAMES, Backlog
from avt_memocmt.media.event_order import in_order_of_time
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.media.types import AudioChunk, VideoFrame

Events = list[AudioChunk | VideoFrame]


def read(path: Path, between: float, rate: float = 4.0) -> Events:
    with MediaReader(path, rate, between=between) as reader:
        return list(reader.events_ahead())


def pictures(events: Events, between: bool) -> list[VideoFrame]:
    return [e for e in events if isinstance(e, VideoFrame) and e.between == between]


def test_sampled_pictures_and_sound_stay_the_same(talking_clip: Spoken) -> None:
    plain, found = read(talking_clip.path, 0.0), read(talking_clip.path, 25.0)
    kept = [e for e in found if not (isinstance(e, VideoFrame) and e.between)]
    assert len(kept) == len(plain)
    for one, other in zip(plain, kept, strict=True):
        if isinstance(one, VideoFrame):
            assert isinstance(other, VideoFrame)
            assert one.time == other.time
            assert np.array_equal(one.image, other.image)
        else:
            assert isinstance(other, AudioChunk)
            assert np.array_equal(one.samples, other.samples)


@pytest.mark.parametrize("rate", [12.5, 25.0])
def test_together_they_come_at_the_rate_that_was_asked_for(
    talking_clip: Spoken, rate: float
) -> None:
    found = read(talking_clip.path, rate)
    between = pictures(found, between=True)
    ticks = np.round(np.arange(0, 3, 1 / rate), 3)
    times = {round(e.time, 3) for e in pictures(found, between=False) + between}
    assert np.mean([min(abs(tick - time) for time in times) < 0.041 for tick in ticks]) == 1
    assert len(between) == pytest.approx(3 * rate * (1 - 4 / 25), abs=6)


def test_grey_is_the_brightness_of_the_picture(talking_clip: Spoken) -> None:
    """A picture that is sampled at one rate lies between two at another."""
    colours = {round(e.time, 3): e.image for e in pictures(read(talking_clip.path, 0, 25), False)}
    greys = pictures(read(talking_clip.path, 25.0), between=True)
    assert len(greys) > 50
    for grey in greys[::10]:
        expected = cv2.cvtColor(colours[round(grey.time, 3)], cv2.COLOR_RGB2GRAY)
        assert grey.image.shape == expected.shape
        assert abs(grey.image.astype(int) - expected).mean() < 3


@pytest.mark.parametrize(("b_frames", "fewest", "most"), [("0", 100, 100), ("3", 48, 75)])
def test_what_no_other_picture_needs_is_not_decoded(
    b_frames: str, fewest: int, most: int, tmp_path: Path
) -> None:
    """Ten a second are left, and the sampled ones are those of a reading without the others."""
    path = write_media(
        tmp_path / "a.mp4",
        picture_times=[index / 25 for index in range(100)],
        sound=speech_like(4.0),
        video_options={"bf": b_frames, "x264-params": "b-adapt=0:scenecut=0"},
    )
    found, plain = read(path, 25.0), read(path, 0.0)
    times = [e.time for e in found if isinstance(e, VideoFrame)]
    assert fewest <= len(times) <= most
    assert np.diff(times).max() <= 0.101
    for one, other in zip(pictures(found, False), pictures(plain, False), strict=True):
        assert one.time == other.time
        np.testing.assert_array_equal(one.image, other.image)


def film(path: Path, size: tuple[int, int] = (96, 64)) -> Path:
    image = np.full((size[1], size[0], 3), 40, np.uint8)
    image[: size[1] // 2, : size[0] // 2] = 220
    return write_media(
        path,
        picture_times=[index / 25 for index in range(25)],
        sound=speech_like(1.0),
        size=size,
        images=[image] * 25,
    )


def test_a_turned_film_gives_turned_grey_pictures(tmp_path: Path) -> None:
    upright = pictures(read(film(tmp_path / "a.mp4"), 25.0), between=True)[3].image
    turned_file = set_rotation(film(tmp_path / "b.mp4"), (0, 1, -1, 0))
    turned = pictures(read(turned_file, 25.0), between=True)[3].image
    assert turned.shape == upright.shape[::-1]
    assert abs(turned.astype(int) - np.rot90(upright, -1)).mean() < 3


def test_large_pictures_are_made_smaller(tmp_path: Path) -> None:
    found = pictures(read(film(tmp_path / "large.mp4", (1920, 1080)), 25.0), between=True)
    assert found[0].image.shape == (720, 1280)


def test_a_film_without_sound_gives_none(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.mkv", picture_times=[index / 25 for index in range(25)])
    assert not pictures(read(path, 25.0), between=True)


def events(count: int) -> Iterator[VideoFrame]:
    for index in range(count):
        yield VideoFrame(index / 25, np.zeros((4, 4), np.uint8), index % 6 != 0)


def test_waiting_pictures_keep_the_sampled_ones() -> None:
    """Pictures that come long before their sound: those between are left out first."""
    sound = AudioChunk(0.0, np.zeros(160, np.float32))
    kept = list(in_order_of_time(iter([*events(48), sound])))
    assert sum(isinstance(e, VideoFrame) and not e.between for e in kept) == 8
    assert kept[0] is not sound


def test_a_backlog_drops_those_between_by_themselves() -> None:
    backlog = Backlog()
    for event in events(6 * MOST_FRAMES + 6 * 20):
        if event.between or event.time < 6 * MOST_FRAMES / 25:
            backlog.put(event)
    backlog.close()
    assert backlog.dropped_frames == 0
    left = [event for event in backlog._events if isinstance(event, VideoFrame)]
    assert sum(event.between for event in left) == MOST_BETWEEN
    assert sum(not event.between for event in left) == MOST_FRAMES
