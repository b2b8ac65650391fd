"""Frame sampling by rate, by count and by change of face or scene."""

from __future__ import annotations

import numpy as np
import pytest
from plain_pictures import MiddleFace, plain

from avt_memocmt.config import Config
from avt_memocmt.config_file import EMBEDDED_PRESET, load_config
from avt_memocmt.inference.shown_faces import ShownFaces
from avt_memocmt.inference.utterances import UtteranceBuilder
from avt_memocmt.preprocessing.face_tracker import FaceObservation, FaceTracker
from avt_memocmt.preprocessing.video_preprocess_mtcnn import changed_faces

NO_SOUND = np.zeros(0, np.float32)


def face(time: float, shade: int, track: int = 0) -> FaceObservation:
    return FaceObservation(time, None, np.full((112, 112, 3), shade, np.uint8), 1, track)


def times(faces: list[FaceObservation]) -> list[float]:
    return [seen.time for seen in faces]


def test_faces_are_kept_where_they_change() -> None:
    shades = [100, 100, 103, 120, 121, 90, 90]
    faces = [face(i / 4, shade) for i, shade in enumerate(shades)]
    assert times(changed_faces(faces, 10)) == [0.0, 0.75, 1.25]
    assert changed_faces(faces, 0) == faces
    assert changed_faces([], 10) == []


def test_slow_change_adds_up() -> None:
    """Each face is compared with the last one kept, not with the one before it."""
    faces = [face(i / 4, 100 + 4 * i) for i in range(7)]
    assert times(changed_faces(faces, 10)) == [0.0, 0.75, 1.5]


def test_another_person_is_a_change() -> None:
    faces = [face(0.0, 100), face(0.25, 100, track=1), face(0.5, 100, track=1)]
    assert times(changed_faces(faces, 10)) == [0.0, 0.25]


def test_noise_is_none() -> None:
    generator = np.random.default_rng(0)
    noisy = [
        FaceObservation(
            i / 4, None, generator.integers(90, 110, (112, 112, 3), dtype=np.uint8), 1, 0
        )
        for i in range(5)
    ]
    assert times(changed_faces(noisy, 5)) == [0.0]


def config(**visual: float) -> Config:
    return load_config(
        EMBEDDED_PRESET, [f"visual.{name}={value}" for name, value in visual.items()]
    )


def watching(shades: list[int], **visual: float) -> UtteranceBuilder:
    """A builder that has seen pictures of these shades, four a second."""
    shown = ShownFaces(FaceTracker(MiddleFace()), 0.25)
    for index, shade in enumerate(shades):
        shown.push(plain(index / 4, shade))
    return UtteranceBuilder(config(**visual), has_audio=False, shown=shown)


@pytest.mark.parametrize(
    ("visual", "expected"),
    [
        ({}, [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75]),
        ({"max_frames": 3}, [0.0, 1.0, 1.75]),
        ({"min_change": 10}, [0.0, 1.0, 1.5]),
        ({"min_change": 10, "max_frames": 2}, [0.0, 1.5]),
    ],
)
def test_an_utterance_has_the_faces_that_its_settings_choose(
    visual: dict[str, float], expected: list[float]
) -> None:
    builder = watching([80, 80, 80, 80, 120, 120, 160, 160], **visual)
    assert times(list(builder.build(0.0, 2.0, NO_SOUND).faces)) == expected


def test_every_utterance_begins_with_a_face_however_still_it_is() -> None:
    builder = watching([80] * 16, min_change=10)
    assert times(list(builder.build(0.0, 2.0, NO_SOUND).faces)) == [0.0]
    assert times(list(builder.build(2.5, 4.0, NO_SOUND).faces)) == [2.5]
