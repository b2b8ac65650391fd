"""Who was seen, with which voice, and where their mouths were."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from avt_memocmt.inference.mouths import LONGEST_MOUTHS, Mouths
from avt_memocmt.inference.people import MOST_SHIFT, MOST_VOICES, PeopleSeen, VoiceFaces
from avt_memocmt.media.types import VideoFrame
from avt_memocmt.preprocessing.every_face import FaceRun, Seen
from avt_memocmt.preprocessing.face_alignment import TEMPLATE, crop_face
from avt_memocmt.preprocessing.face_boxes import Face
from avt_memocmt.preprocessing.face_identity import FaceGallery, Look, View
from avt_memocmt.preprocessing.face_tracker import FaceObservation

SIDE = 112.0


def face_at(x: float, side: float = SIDE) -> Face:
    points = (TEMPLATE * side + (x, 10.0)).astype(np.float32)
    return Face((x, 10.0, x + side, 10.0 + side), points, 0.9)


def run_of(gallery: FaceGallery, seed: int) -> FaceRun:
    run = FaceRun(seed, face_at(0.0), 0.0, gallery)
    structure = np.random.default_rng(seed).normal(size=50)
    unit = (structure / np.linalg.norm(structure)).astype(np.float32)
    view = View(np.zeros((140, 140, 3), np.uint8), run.face, np.zeros((112, 112, 3), np.uint8))
    view.__dict__["look"] = Look(unit, np.zeros(3, np.float32))  # as if it were described already
    run.look(0.0, view)
    return run


def seen(time: float, x: float, shade: int = 0, side: float = SIDE) -> FaceObservation:
    crop = np.full((112, 112, 3), shade, np.uint8)
    return FaceObservation(time, face_at(x, side), crop, None, 0)


def stripes(time: float, x: int, grey: bool, width: int = 400) -> VideoFrame:
    """A picture with a bright face-sized square at x, on black."""
    image = np.zeros((140, width), np.uint8)
    image[10:122, x : x + 112] = 200
    image[60:80, x + 50 : x + 60] = 90
    return VideoFrame(time, image if grey else np.repeat(image[..., None], 3, axis=2), grey)


def first_pixels(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    return crops.reshape(len(crops), -1).astype(np.float32)


def test_between_two_pictures_a_face_is_on_its_way() -> None:
    run = run_of(FaceGallery(), 0)
    mouths = Mouths(first_pixels)
    for time, x in ((0.0, 100), (0.24, 124)):
        frame = stripes(time, x, grey=False)
        crop = crop_face(frame.image, face_at(x))
        mouths.see(frame, [Seen(run, FaceObservation(time, face_at(x), crop, None, 0))])
        if not time:
            for step in range(1, 6):
                mouths.glimpse(stripes(step * 0.04, 100 + 4 * step, grey=True))
    (times, shapes), *_ = mouths.during(0.0, 0.24).values()
    assert times == pytest.approx(np.arange(7) * 0.04)
    # The face moves with the picture, so every crop shows the same.
    assert np.abs(shapes - shapes[0]).max() <= 2


def test_a_smaller_copy_of_the_picture_will_do() -> None:
    run = run_of(FaceGallery(), 0)
    mouths = Mouths(first_pixels)
    for time in (0.0, 0.2):
        frame = stripes(time, 100, grey=False)
        crop = crop_face(frame.image, face_at(100))
        mouths.see(frame, [Seen(run, FaceObservation(time, face_at(100), crop, None, 0))])
        small = stripes(0.1, 100, grey=True).image[::2, ::2]
        mouths.glimpse(VideoFrame(time + 0.1, np.ascontiguousarray(small), True))
    (times, shapes), *_ = mouths.during(0.0, 0.2).values()
    assert times == pytest.approx([0.0, 0.1, 0.2])
    assert np.abs(shapes[1] - shapes[0]).mean() < 3


def test_after_the_last_picture_a_face_stays_where_it_was() -> None:
    run = run_of(FaceGallery(), 0)
    mouths = Mouths(first_pixels)
    mouths.see(stripes(0.0, 100, grey=False), [Seen(run, seen(0.0, 100))])
    mouths.glimpse(stripes(0.1, 100, grey=True))
    (times, _), *_ = mouths.during(0.0, 0.2).values()
    assert times == pytest.approx([0.0, 0.1])


def test_who_is_gone_in_the_next_picture_has_no_mouth_between() -> None:
    mouths = Mouths(first_pixels)
    run = run_of(FaceGallery(), 0)
    mouths.see(stripes(0.0, 100, grey=False), [Seen(run, seen(0.0, 100))])
    mouths.glimpse(stripes(0.1, 100, grey=True))
    mouths.see(stripes(0.2, 100, grey=False), [])
    (times, _), *_ = mouths.during(0.0, 0.2).values()
    assert times == pytest.approx([0.0])


def test_mouths_are_read_once_and_forgotten_in_time() -> None:
    asked: list[int] = []

    def read(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        asked.append(len(crops))
        return first_pixels(crops)

    mouths = Mouths(read)
    run = run_of(FaceGallery(), 0)
    for count in range(400):
        mouths.see(stripes(count / 4, 100, grey=False), [Seen(run, seen(count / 4, 100))])
    end = 399 / 4
    assert len(next(iter(mouths.during(0.0, end).values()))[0]) == LONGEST_MOUTHS * 4 + 1
    assert len(next(iter(mouths.during(end - 5, end).values()))[0]) == 21
    assert asked == [LONGEST_MOUTHS * 4 + 1]


def test_people_have_ids_in_the_order_in_which_they_are_asked_for() -> None:
    gallery = FaceGallery()
    one, other = run_of(gallery, 0), run_of(gallery, 1)
    people = PeopleSeen(0.25)
    for count in range(4):
        people.add(one, seen(count / 4, 0, shade=1))
        people.add(other, seen(count / 4, 200, shade=2, side=50))
    assert people.faces() == ()
    assert [people.id_of(run) for run in (other, one, other)] == ["F1", "F2", "F1"]
    people.add(one, seen(1.0, 0, shade=3, side=200))
    first, second = people.faces()
    assert (first.id, first.seconds, second.id, second.seconds) == ("F1", 1.0, "F2", 1.25)
    assert first.thumbnail[0, 0, 0] == 2
    assert second.thumbnail[0, 0, 0] == 3  # the largest picture


def test_a_person_who_returns_keeps_the_id() -> None:
    gallery = FaceGallery()
    people = PeopleSeen(0.25)
    for run in (run_of(gallery, 5), run_of(gallery, 5)):
        people.add(run, seen(0.0, 0))
        assert people.id_of(run) == "F1"
    assert people.faces()[0].seconds == 0.5


def test_a_face_seen_in_passing_is_forgotten() -> None:
    gallery = FaceGallery()
    people = PeopleSeen(0.25)
    run = run_of(gallery, 0)
    people.add(run, seen(0.0, 0))
    people.drop_untold(30.0)
    assert people.id_of(run) == "F1"
    assert people.faces() == ()


def test_a_known_voice_speaks_for_its_face() -> None:
    voices = VoiceFaces()
    voices.note(0.0, "S1", "F1", 9.0)
    assert voices.shift(0.0, "S1", "F1", ["F1", "F2"]) == 0.0  # the same utterance
    known = voices.shift(5.0, "S1", "F1", ["F1", "F2"])
    other = voices.shift(5.0, "S1", "F2", ["F1", "F2"])
    assert known == pytest.approx(math.log(10 / 11 * 2))
    assert other == pytest.approx(math.log(1 / 11 * 2))
    assert voices.shift(5.0, "S2", "F1", ["F1", "F2"]) == 0.0
    assert voices.shift(5.0, None, "F1", ["F1", "F2"]) == 0.0
    assert voices.shift(5.0, "S1", "F2", ["F2", "F3"]) == 0.0  # the known face is not there


def test_what_is_said_again_of_an_utterance_replaces_what_was_said() -> None:
    voices = VoiceFaces()
    for face in ("F2", "F1", "F1"):
        voices.note(3.0, "S1", face, 100.0)
    assert voices.shift(9.0, "S1", "F1", ["F1", "F2"]) > 0
    assert voices.shift(9.0, "S1", "F2", ["F1", "F2"]) == -MOST_SHIFT


def test_voices_are_bounded() -> None:
    voices = VoiceFaces()
    for number in range(MOST_VOICES + 2):
        voices.note(float(number), f"S{number}", "F1", 1.0)
    assert voices.shift(1e6, "S0", "F1", ["F1", "F2"]) == 0
    assert voices.shift(1e6, f"S{MOST_VOICES + 1}", "F1", ["F1", "F2"]) > 0


def test_alone_is_who_was_seen_as_the_only_one() -> None:
    gallery = FaceGallery()
    one, other = run_of(gallery, 0), run_of(gallery, 1)
    people = PeopleSeen(0.25)
    assert people.seconds_alone == 0
    for count in range(8):
        people.add(one, seen(count / 4, 0))
    people.id_of(one)
    assert people.seconds_alone == 2.0
    people.add(other, seen(2.0, 200))
    assert people.seconds_alone == 2.0  # in passing
    people.id_of(other)
    assert people.seconds_alone == 0
