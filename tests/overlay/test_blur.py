"""Blurred faces are not known again by the project's own means, in film and report alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from footage import Spoken
from media_factory import write_media

from avt_memocmt import EmotionRecognizer, MediaPrediction, blur_faces, write_overlay
from avt_memocmt.inference.results import SampledFace
from avt_memocmt.preprocessing.face_alignment import crop_face
from avt_memocmt.preprocessing.face_detectors import make_detector
from avt_memocmt.preprocessing.face_identity import SAME, look_of
from avt_memocmt.preprocessing.face_tracker import find_faces
from avt_memocmt.preprocessing.video_preprocess import sample_frames
from avt_memocmt.report.prediction_page import write_report


@pytest.fixture(scope="module")
def found(recognizer: EmotionRecognizer, talking_clip: Spoken) -> MediaPrediction:
    return recognizer.predict(talking_clip.path, transcribe=False, sampled_faces=True)


def test_no_face_is_found_or_known_again_in_any_picture(
    found: MediaPrediction, talking_clip: Spoken, tmp_path: Path
) -> None:
    # Nothing that is drawn may hide what the blur leaves, and the blur finds its faces alone.
    bare = replace(found, utterances=(), faces=(), sampled_faces=())
    write_overlay(bare, talking_clip.path, tmp_path / "out.mp4", blur_faces=True)
    detector = make_detector("yunet")
    before = list(sample_frames(talking_clip.path, 25))
    after = list(sample_frames(tmp_path / "out.mp4", 25))
    assert len(before) == len(after) == 75
    for one, other in zip(before[::6], after[::6], strict=True):
        (face,) = find_faces(one.image, detector)
        assert not find_faces(other.image, detector)
        crops = [crop_face(frame.image, face) for frame in (one, other)]
        looks = [
            look_of(frame.image, face, crop)
            for frame, crop in zip((one, other), crops, strict=True)
        ]
        assert looks[0].likeness(looks[1]) < SAME
        assert np.abs(np.diff(crops[1].astype(int), axis=0)).mean() < 2  # no structure is left
    untouched = np.s_[-40:, :40]  # a corner
    apart = before[0].image[untouched].astype(int) - after[0].image[untouched]
    assert np.abs(apart).mean() < 4


def test_a_followed_face_is_blurred_where_the_detector_sees_nothing(tmp_path: Path) -> None:
    """A face may be followed by its surroundings where a search of the picture misses it."""
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 1), np.uint8).repeat(3, axis=2)
    film = write_media(
        tmp_path / "film.mkv", picture_times=[0.0, 0.5, 1.5], images=[noise] * 3, size=(320, 240)
    )
    face = SampledFace(0.0, (100.0, 80.0, 40.0, 50.0), None, False, None, 1.0)
    known = MediaPrediction(
        "film", 2.0, "embedded", "0", (), picture_size=(320, 240), sampled_faces=(face,)
    )
    write_overlay(known, film, tmp_path / "out.mp4", blur_faces=True)
    for number, frame in enumerate(sample_frames(tmp_path / "out.mp4", 25)):
        roughness = np.abs(np.diff(frame.image.astype(int), axis=0)).mean(axis=2)
        is_gone = number == 2  # long after the face was seen last
        assert (roughness[80:130, 100:140].mean() > 20) == is_gone
        assert roughness[:40].mean() > 40


def test_thumbnails_of_the_report_show_nobody(found: MediaPrediction, tmp_path: Path) -> None:
    blurred = blur_faces(found)
    for before, after in zip(found.faces, blurred.faces, strict=True):
        assert before.thumbnail is not None
        assert after.thumbnail is not None
        assert before.thumbnail is not after.thumbnail
        rough, smooth = (
            np.abs(np.diff(face.thumbnail.astype(int), axis=0)).mean() for face in (before, after)
        )
        assert smooth < rough / 4
        assert not find_faces(after.thumbnail, make_detector("yunet"))
    pages = []
    for name, prediction in (("sharp", found), ("soft", blurred)):
        write_report([prediction], [], tmp_path / f"{name}.html")
        pages.append((tmp_path / f"{name}.html").read_text())
    assert "data:image/jpeg" in pages[1]
    assert len(pages[1]) < len(pages[0])
