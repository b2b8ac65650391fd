"""Every face is followed, and keeps its number where it can be told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from footage import Spoken
from numpy.typing import NDArray
from plain_pictures import MiddleFace, plain
from scene_factory import beside, pictures_of

from avt_memocmt.media.types import VideoFrame
from avt_memocmt.preprocessing.every_face import MOST_FACES, EveryFaceTracker
from avt_memocmt.preprocessing.face_detectors import FaceDetector, make_detector
from avt_memocmt.preprocessing.face_identity import MOST_PEOPLE, FaceGallery, Look, look_of
from avt_memocmt.preprocessing.face_tracker import FaceTracker, find_faces
from avt_memocmt.preprocessing.video_preprocess import sample_frames

STEP = 6
"""Pictures of a film at 25 a second from one look to the next."""


@pytest.fixture(scope="module")
def yunet() -> FaceDetector:
    return make_detector("yunet")


@pytest.fixture(scope="module")
def people(talking_clips: list[Spoken]) -> list[NDArray[np.uint8]]:
    """Every sixth picture of two talkers."""
    return [pictures_of(clip.path)[::STEP] for clip in talking_clips[:2]]


def follow(
    pictures: Sequence[NDArray[np.uint8]], detector: FaceDetector, step: float = 0.25
) -> list[dict[int, float]]:
    """By picture: the number of each person, and how far from the left, as a share, they are."""
    tracker = EveryFaceTracker(detector)
    seen = []
    for count, picture in enumerate(pictures):
        tracker.push(VideoFrame(count * step, picture))
        seen.append(tracker.seen)
    width = pictures[0].shape[1]
    return [
        {one.run.person: one.face.face.centre[0] / width for one in faces if one.face.face}
        for faces in seen
    ]


def test_the_chosen_face_is_the_one_that_is_followed_alone(
    talking_clips: list[Spoken], yunet: FaceDetector
) -> None:
    for clip in talking_clips[:2]:
        alone, among = FaceTracker(yunet), EveryFaceTracker(yunet)
        for frame in sample_frames(clip.path):
            one, other = alone.push(frame), among.push(frame)
            assert one is not None
            assert other is not None
            assert (one.time, one.n_faces, one.track) == (other.time, other.n_faces, other.track)
            assert np.array_equal(one.crop, other.crop)
            assert len(among.seen) == 1
            assert among.seen[0].face is other


def test_two_people_side_by_side_have_two_numbers(
    people: list[NDArray[np.uint8]], yunet: FaceDetector
) -> None:
    seen = follow(list(beside(*people)), yunet)
    assert all(sorted(faces) == [0, 1] for faces in seen)
    sides = np.array([[faces[0] < 0.5, faces[1] < 0.5] for faces in seen])
    assert (sides == sides[0]).all()
    assert sides[0][0] != sides[0][1]


def test_numbers_survive_cuts(people: list[NDArray[np.uint8]], yunet: FaceDetector) -> None:
    one, other = people
    seen = follow([*one[:6], *other[:6], *one[6:], *other[6:]], yunet)
    numbers = [next(iter(faces)) for faces in seen]
    assert numbers == [0] * 6 + [1] * 6 + [0] * (len(one) - 6) + [1] * (len(other) - 6)


def test_who_leaves_and_returns_is_known(
    people: list[NDArray[np.uint8]], yunet: FaceDetector
) -> None:
    one, other = people
    gone = np.full_like(other, 90)
    wide = [*beside(one, other)[:5], *beside(one, gone)[:10], *beside(one, other)[5:]]
    seen = follow(wide, yunet)
    assert sorted(seen[4]) == sorted(seen[-1]) == [0, 1]
    stays = min(seen[0], key=seen[0].__getitem__)
    assert all(list(faces) == [stays] for faces in seen[6:14])


def test_a_mirror_shows_somebody_else(people: list[NDArray[np.uint8]], yunet: FaceDetector) -> None:
    """One person beside their mirror image is two faces, as both are on the screen at once."""
    one = people[0]
    seen = follow(list(beside(one, one[:, :, ::-1])), yunet)
    assert all(len(faces) == 2 for faces in seen)


def test_of_twelve_faces_the_largest_are_followed(
    people: list[NDArray[np.uint8]], yunet: FaceDetector
) -> None:
    row = beside(*[people[0][:3]] * 4)
    crowd = [np.concatenate([picture, picture, picture])[:, ::1] for picture in row]
    small = [np.ascontiguousarray(picture[::2, ::2]) for picture in crowd]
    for picture in small:
        assert len(find_faces(picture, yunet)) >= 9
    tracker = EveryFaceTracker(yunet)
    for count, picture in enumerate(small):
        tracker.push(VideoFrame(count / 4, picture))
        assert len(tracker.seen) == MOST_FACES


class Counting(MiddleFace):
    """Counts the searches of whole pictures."""

    def whole(self, height: int) -> int:
        return sum(asked[0] >= height for asked in self.asked)


def test_whole_pictures_are_searched_once_a_second() -> None:
    detector = Counting()
    tracker = EveryFaceTracker(detector)
    for count in range(41):
        tracker.push(plain(count / 4, 90, (960, 640)))
    assert detector.whole(640) == pytest.approx(11, abs=1)


def look(seed: int, noise: float = 0.0) -> Look:
    draw = np.random.default_rng(seed)
    structure, colours = draw.normal(size=200), draw.uniform(size=30)
    structure += noise * np.random.default_rng(seed + 1000).normal(size=200)
    return Look(
        (structure / np.linalg.norm(structure)).astype(np.float32), colours.astype(np.float32)
    )


def test_a_gallery_knows_who_it_has_seen() -> None:
    gallery = FaceGallery()
    assert [gallery.recognise(look(seed)) for seed in (0, 1, 2)] == [0, 1, 2]
    assert [gallery.recognise(look(seed, 0.3)) for seed in (2, 0, 1)] == [2, 0, 1]


def test_who_is_seen_beside_it_cannot_be_meant() -> None:
    gallery = FaceGallery()
    assert gallery.recognise(look(0)) == 0
    assert gallery.recognise(look(0), others=[0]) == 1


def test_between_two_who_are_equally_alike_it_is_somebody_new() -> None:
    gallery = FaceGallery()
    gallery.recognise(look(0))
    gallery.recognise(look(0), others=[0])
    assert gallery.recognise(look(0, 0.1)) == 2


def test_a_gallery_is_bounded() -> None:
    gallery = FaceGallery()
    for seed in range(MOST_PEOPLE + 5):
        gallery.recognise(look(seed))
    assert gallery.recognise(look(MOST_PEOPLE)) == MOST_PEOPLE
    assert gallery.recognise(look(0)) == MOST_PEOPLE + 5


@pytest.mark.usefixtures("data_dir")
def test_talkers_are_never_taken_for_each_other(
    talking_clips: list[Spoken], yunet: FaceDetector
) -> None:
    """The first and last pictures of all films: a person is alike to themselves alone."""
    looks: dict[Path, list[Look]] = {}
    for clip in talking_clips[:6]:
        frames = list(sample_frames(clip.path, 1.0))
        for frame in (frames[0], frames[-1]):
            tracker = FaceTracker(yunet)
            seen = tracker.push(frame)
            assert seen is not None
            assert seen.face is not None
            looks.setdefault(clip.path, []).append(look_of(frame.image, seen.face, seen.crop))
    pairs = list(looks.values())
    for number, (first, last) in enumerate(pairs):
        same = first.likeness(last)
        for other in pairs[:number] + pairs[number + 1 :]:
            assert first.likeness(other[1]) < same
