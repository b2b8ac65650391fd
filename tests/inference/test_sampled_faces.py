"""Sampled faces have the times and places at which a viewer sees them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conversation_factory import spoken
from footage import Spoken
from media_factory import set_rotation, write_media
from PIL import Image
from plain_pictures import MiddleFace, plain

from avt_memocmt import EmotionRecognizer
from avt_memocmt.errors import AvtError
from avt_memocmt.inference.results import SampledFace, UtterancePrediction
from avt_memocmt.inference.sampled_faces import FaceRecorder, SampledFaces
from avt_memocmt.inference.shown_faces import ShownFaces
from avt_memocmt.inference.shown_people import ShownPeople
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.preprocessing.every_face import EveryFaceTracker
from avt_memocmt.preprocessing.face_tracker import FaceTracker
from avt_memocmt.preprocessing.video_preprocess import sample_frames

PERIOD = 0.25
SIZE = (192, 128)  # twice the pictures'


def unread(faces: np.ndarray) -> np.ndarray:
    raise AssertionError("nobody speaks, so no mouth is read")


def recorded(
    pictures: list[tuple[float, int]], turns: list[UtterancePrediction], *, tell_apart: bool
) -> SampledFaces:
    """What is recorded of pictures of one face, or of none where they are black."""
    recorder = FaceRecorder()
    shown: ShownFaces = ShownFaces(FaceTracker(MiddleFace()), PERIOD, recorder=recorder)
    if tell_apart:
        tracker = EveryFaceTracker(MiddleFace())
        shown = ShownPeople(
            tracker, PERIOD, False, read_mouths=unread, tell_all=False, recorder=recorder
        )
    for time, shade in pictures:
        shown.push(plain(time, shade))
    for turn in turns:
        shown.choose(turn.start, turn.end, None, None)
    return recorder.found(turns, shown.ids, SIZE, 12.0)


@pytest.mark.parametrize("tell_apart", [False, True])
def test_a_face_has_the_time_of_its_picture_and_is_there_until_the_next(tell_apart: bool) -> None:
    pictures = [(0.04, 90), (0.31, 92), (0.5, 0), (0.81, 91), (1.02, 90), (9.5, 94)]
    face = "F1" if tell_apart else None
    found = recorded(pictures, [spoken(0.0, 12.0, None, "joy", face=face)], tell_apart=tell_apart)
    shown = [(one.time, one.until) for one in found]
    assert shown == [(0.04, 0.31), (0.31, 0.5), (0.81, 1.02), (1.02, 9.5), (9.5, 12.0)]
    # The face takes up the middle half of a picture of 96 x 64, scaled to 192 x 128.
    assert found[0].box == pytest.approx((64.0, 32.0, 64.0, 64.0))
    assert {one.probabilities for one in found} == {None}
    assert {one.id for one in found} == {face}


def test_the_face_speaks_while_the_utterance_in_which_it_counted_is_on() -> None:
    pictures = [(0.0, 90), (5.0, 91), (8.0, 92)]
    turns = [
        spoken(3.0, 4.0, None, "joy", face="F1"),
        spoken(6.0, 7.0, None, "joy"),
        spoken(8.5, 9.0, None, "joy", face="F2"),
    ]
    found = recorded(pictures, turns, tell_apart=True)
    # The first is held into the first utterance; later no face counts, and then another one.
    assert [one.speaks for one in found] == [True, False, False]
    # A picture that appeared in an earlier utterance is not the next one's.
    turns = [
        spoken(4.9, 5.1, None, "joy", face="F1"),
        spoken(5.1, 5.2, None, "joy", face="F2"),
    ]
    found = recorded(pictures, turns, tell_apart=True)
    assert [one.speaks for one in found] == [True, True, False]


def test_without_ids_the_followed_face_speaks_in_the_utterances_that_have_one() -> None:
    seen = spoken(0.0, 1.0, None, "joy")
    with_face = replace(seen.modalities["audio"], present=True)
    counted = replace(seen, modalities={**seen.modalities, "visual": with_face})
    pictures = [(0.0, 90), (0.5, 91)]
    for turn, speaks in ((counted, True), (seen, False)):
        found = recorded(pictures, [turn], tell_apart=False)
        assert [one.speaks for one in found] == [speaks, speaks]


def test_hundreds_of_thousands_of_faces_fit_and_slices_are_faces() -> None:
    recorder = FaceRecorder(lambda faces: np.full((len(faces), 7), 1 / 7, np.float32))
    tracker = FaceTracker(MiddleFace())
    face = tracker.push(plain(0.0, 90))
    assert face is not None
    for index in range(2000):
        recorder.take(plain(index / 4, 90), [(face, None)] * 6)
    found = recorder.found([], {}, SIZE, 500.0)
    columns = vars(found)["_columns"]
    arrays = [value for value in vars(columns).values() if isinstance(value, np.ndarray)]
    assert sum(array.nbytes for array in arrays) / len(found) <= 70  # bytes a face: 6 MB an hour
    assert not recorder._waiting
    assert isinstance(found[-1], SampledFace)
    assert found[11:13] == (found[11], found[12])
    assert (found[11].time, found[12].time, len(found)) == (0.25, 0.5, 12_000)
    with pytest.raises(IndexError):
        found[12_000]


def test_the_picture_size_is_that_of_a_viewer(tmp_path: Path) -> None:
    path = write_media(tmp_path / "film.mp4", picture_times=[0, 0.04, 0.08], size=(96, 64))
    for max_side in (1920, 48):
        with MediaReader(path, max_side=max_side) as reader:
            assert reader.picture_size is None
            assert len(list(reader.events())) == 1
            assert reader.picture_size == (96, 64)
    with MediaReader(set_rotation(path, (0, 1, -1, 0))) as reader:
        list(reader.events())
        assert reader.picture_size == (64, 96)
    photo = Image.new("RGB", (4100, 300), "grey")
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side
    photo.save(tmp_path / "photo.jpg", exif=exif)
    with MediaReader(tmp_path / "photo.jpg") as reader:
        assert reader.picture_size == (300, 4100)


@pytest.fixture(scope="module")
def large_photo(talking_clip: Spoken, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of a face, 3 x as large as in the film it is from, stored on its side."""
    frame = next(iter(sample_frames(talking_clip.path, 25)))
    size = 6 * frame.image.shape[1], 6 * frame.image.shape[0]
    upright = Image.fromarray(frame.image).resize(size)
    exif = Image.Exif()
    exif[0x0112] = 6  # is to be turned clockwise
    path = tmp_path_factory.mktemp("photo") / "photo.jpg"
    upright.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
    return path


def test_boxes_of_a_large_photo_are_in_its_own_pixels(
    recognizer: EmotionRecognizer, talking_clip: Spoken, large_photo: Path
) -> None:
    film = recognizer.predict(
        talking_clip.path, transcribe=False, speakers="off", sampled_faces=True
    )
    photo = recognizer.predict(large_photo, sampled_faces="judged")
    assert film.picture_size is not None
    assert photo.picture_size == tuple(6 * side for side in film.picture_size)
    (face,) = photo.sampled_faces
    assert face.box == pytest.approx([6 * side for side in film.sampled_faces[0].box], abs=60)
    # One picture is all there is of a photo, so its decision is that of the face in it.
    (turn,) = photo.utterances
    assert face.probabilities == pytest.approx(turn.modalities["visual"].probabilities, abs=1e-5)
    assert (face.time, face.until, face.speaks, face.id) == (0.0, 0.0, True, None)
    with MediaReader(talking_clip.path, recognizer.config.visual.frames_per_second) as reader:
        times = [event.time for event in reader.events() if hasattr(event, "image")]
    assert [one.time for one in film.sampled_faces] == times
    assert film.sampled_faces[0].probabilities is None


def test_nothing_is_recorded_unless_asked_for(
    recognizer: EmotionRecognizer, large_photo: Path
) -> None:
    assert recognizer.predict(large_photo).sampled_faces == ()
    everyone = recognizer.predict(large_photo, faces="all", sampled_faces=True)
    assert [one.id for one in everyone.sampled_faces] == ["F1"]
    with pytest.raises(AvtError, match="sampled faces 'yes' are unknown"):
        recognizer.predict(large_photo, sampled_faces="yes")  # type: ignore[arg-type]
