import cv2
import numpy as np
import pytest

from avt_memocmt.preprocessing.face_alignment import (
    TEMPLATE,
    crop_face,
    resize,
    similarity_transform,
    upscale_small,
    usable_landmarks,
)
from avt_memocmt.preprocessing.face_boxes import Face

LANDMARKS = TEMPLATE * 80 + 60


def face(landmarks: np.ndarray) -> Face:
    return Face((0.0, 0.0, 1.0, 1.0), landmarks.astype(np.float32), 1.0)


def similarity(angle: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cos, -sin, shift[0]], [sin, cos, shift[1]]])


def moved(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def smooth_picture(height: int = 240, width: int = 240, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).uniform(0, 255, (height // 12, width // 12, 3))
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8)


@pytest.mark.parametrize(("angle", "scale"), [(0.0, 1.0), (0.7, 0.3), (-2.5, 4.0)])
def test_similarity_transform_recovers_a_known_transform(angle: float, scale: float) -> None:
    expected = similarity(angle, scale, (-7.0, 31.0))
    found = similarity_transform(LANDMARKS, moved(LANDMARKS, expected))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_similarity_transform_is_the_least_squares_fit() -> None:
    rng = np.random.default_rng(1)
    target = (LANDMARKS * 0.8 + rng.normal(0, 4, (5, 2))).astype(np.float32)
    x, y = LANDMARKS.astype(float).T
    zero, one = np.zeros(5), np.ones(5)
    # x' = a x - b y + s and y' = b x + a y + t, as one linear system.
    rows = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    a, b, s, t = np.linalg.lstsq(rows, target.T.reshape(-1).astype(float), rcond=None)[0]
    found = similarity_transform(LANDMARKS, target)
    np.testing.assert_allclose(found, [[a, -b, s], [b, a, t]], atol=1e-6)


@pytest.mark.parametrize(
    "landmarks",
    [np.full((5, 2), 30.0), np.full((5, 2), np.nan), np.array([[np.inf, 0.0]] + [[1.0, 5.0]] * 4)],
)
def test_landmarks_that_fix_no_transform_are_refused(landmarks: np.ndarray) -> None:
    landmarks = landmarks.astype(np.float32)
    assert not usable_landmarks(landmarks)
    with pytest.raises(ValueError, match="landmarks"):
        similarity_transform(landmarks, TEMPLATE)


def test_face_already_in_the_standard_pose_is_copied_unchanged() -> None:
    picture = smooth_picture()
    crop = crop_face(picture, face(TEMPLATE * 112 + (40, 60)), 112)
    np.testing.assert_array_equal(crop, picture[60:172, 40:152])


def test_aligned_face_does_not_depend_on_turn_and_size_of_the_picture() -> None:
    picture = smooth_picture()
    upright = crop_face(picture, face(LANDMARKS), 64)
    matrix = similarity(0.4, 1.5, (120.0, -20.0))
    index_matrix = matrix.copy()
    index_matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    turned = cv2.warpAffine(picture, index_matrix, (420, 420), flags=cv2.INTER_CUBIC)
    crop = crop_face(turned, face(moved(LANDMARKS, matrix)), 64)
    assert np.abs(crop.astype(int) - upright).mean() < 1.5


def test_large_face_is_averaged_not_sampled() -> None:
    # A one-pixel checkerboard must come out grey; bare interpolation would alias it.
    board = np.indices((1200, 1200)).sum(axis=0) % 2 * 255
    picture = np.repeat(board[:, :, None], 3, axis=2).astype(np.uint8)
    crop = crop_face(picture, face(TEMPLATE * 1000 + 100), 112)
    assert np.abs(crop.astype(float) - 127.5).max() < 40


def test_border_is_repeated_beyond_the_picture() -> None:
    picture = np.full((60, 60, 3), 200, np.uint8)
    assert (crop_face(picture, face(TEMPLATE * 100 - 20), 50) == 200).all()


def test_face_without_usable_landmarks_is_the_square_around_its_box() -> None:
    picture = smooth_picture()
    found = Face((70.0, 50.0, 110.0, 130.0), np.zeros((5, 2), np.float32), 1.0)
    crop = crop_face(picture, found, 80)
    np.testing.assert_array_equal(crop, picture[50:130, 50:130])


def test_upscale_small_brings_the_short_side_to_the_minimum() -> None:
    assert upscale_small(smooth_picture(48, 60), 160).shape == (160, 200, 3)
    large = smooth_picture(160, 240)
    assert upscale_small(large, 160) is large
    assert upscale_small(np.zeros((2, 3000, 3), np.uint8), 160).shape == (2, 3000, 3)


def test_resize_keeps_a_flat_colour_both_ways() -> None:
    flat = np.full((50, 70, 3), (10, 20, 30), np.uint8)
    for width, height in ((7, 5), (140, 100)):
        resized = resize(flat, width, height)
        assert resized.shape == (height, width, 3)
        assert (resized == (10, 20, 30)).all()
