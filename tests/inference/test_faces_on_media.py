"""Of several faces the one counts that speaks; where there is one talker nothing changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from footage import Spoken
from PIL import Image
from scene_factory import at_rest, beside, pictures_of, write_scene

from avt_memocmt import EmotionRecognizer
from avt_memocmt.errors import AvtError
from avt_memocmt.inference.mouths import MOUTH_RATE
from avt_memocmt.inference.recognizer import Recognizer
from avt_memocmt.inference.results import (
    MediaPrediction,
    UtterancePrediction,
    to_json,
    utterance_json,
)
from avt_memocmt.inference.utterance_stream import read_utterances
from avt_memocmt.inference.utterances import Utterance
from avt_memocmt.inference.which_faces import WhichFaces
from avt_memocmt.media.reader import MediaReader

WIDTH = 360


def heard(recognizer: Recognizer, path: Path, faces: WhichFaces = "speaking") -> Utterance:
    """The one utterance of a film."""
    rate = recognizer.config.visual.frames_per_second
    with MediaReader(path, rate, between=MOUTH_RATE) as reader:
        info = reader.info
        stream = recognizer.new_stream(info.has_audio, info.has_video, faces=faces)
        found = list(read_utterances(reader, stream, lambda seconds, total: None))
    return max(found, key=lambda utterance: (utterance.is_speech, utterance.end - utterance.start))


def sides(utterance: Utterance) -> set[int]:
    """Which of the people side by side counted, from the left."""
    assert all(seen.face is not None for seen in utterance.faces)
    return {int(seen.face.centre[0] // WIDTH) for seen in utterance.faces if seen.face}


@pytest.mark.usefixtures("data_dir")
def test_one_talker_is_judged_as_before(
    recognizer: EmotionRecognizer, talking_clips: list[Spoken]
) -> None:
    for clip in talking_clips[:3]:
        before = heard(recognizer, clip.path, "largest")
        now = heard(recognizer, clip.path)
        assert now.face == "F1"
        assert now.warnings == before.warnings
        assert [seen.time for seen in now.faces] == [seen.time for seen in before.faces]
        for one, other in zip(now.faces, before.faces, strict=True):
            assert np.array_equal(one.crop, other.crop)


@pytest.mark.usefixtures("data_dir")
def test_with_all_the_face_that_speaks_says_what_it_says_in_the_decision(
    recognizer: EmotionRecognizer, talking_clip: Spoken
) -> None:
    plain, found = (
        recognizer.predict(talking_clip.path, transcribe=False, faces=faces)
        for faces in ("largest", "all")
    )
    (turn,) = found.utterances
    (face,) = turn.faces
    assert (face.id, face.speaks, turn.face) == ("F1", True, "F1")
    assert face.probabilities == pytest.approx(turn.modalities["visual"].probabilities, abs=1e-5)
    assert [without_faces(found)] == [without_faces(plain)]
    assert found.faces[0].thumbnail.shape == (112, 112, 3)
    assert found.faces[0].seconds == pytest.approx(3.0, abs=0.3)


def without_faces(prediction: MediaPrediction) -> list[UtterancePrediction]:
    return [replace(turn, face=None, faces=()) for turn in prediction.utterances]


@pytest.mark.usefixtures("data_dir")
@pytest.mark.parametrize("place", [0, 1])
def test_beside_a_silent_face_the_one_counts_that_speaks(
    recognizer: EmotionRecognizer, talking_clips: list[Spoken], tmp_path: Path, place: int
) -> None:
    speaker, other = talking_clips[1].path, talking_clips[5].path
    people = [pictures_of(speaker), at_rest(pictures_of(other))]
    path = write_scene(tmp_path / "a.mkv", beside(*people[:: 1 - 2 * place]), speaker)
    found = heard(recognizer, path, "all")
    assert sides(found) == {place}
    assert [who.speaks for who in found.people].count(True) == 1
    assert len(found.people) == 2
    assert {who.seconds for who in found.people} == {len(found.faces) / 4}


@pytest.mark.usefixtures("data_dir")
def test_a_voice_whose_face_is_not_seen_has_none(
    recognizer: EmotionRecognizer, talking_clips: list[Spoken], tmp_path: Path
) -> None:
    silent = at_rest(pictures_of(talking_clips[5].path))
    path = write_scene(tmp_path / "a.mkv", beside(silent), talking_clips[1].path)
    found = recognizer.predict(path, transcribe=False)
    (turn,) = found.utterances
    assert "speaker_not_seen" in turn.warnings
    assert turn.face is None
    assert not turn.modalities["visual"].present
    assert [face.id for face in found.faces] == ["F1"]
    largest = recognizer.predict(path, transcribe=False, faces="largest").utterances[0]
    assert largest.modalities["visual"].present
    assert largest.warnings == ()


@pytest.mark.usefixtures("data_dir")
def test_a_photo_on_the_wall_does_not_speak(
    recognizer: EmotionRecognizer, talking_clips: list[Spoken], tmp_path: Path
) -> None:
    speaker = pictures_of(talking_clips[1].path)
    photo = np.repeat(pictures_of(talking_clips[5].path)[40:41], len(speaker), axis=0)
    path = write_scene(tmp_path / "a.mkv", beside(photo, speaker), talking_clips[1].path)
    assert sides(heard(recognizer, path)) == {1}


@pytest.mark.usefixtures("data_dir")
def test_across_cuts_the_faces_of_who_speaks_count(
    recognizer: EmotionRecognizer, talking_clips: list[Spoken], tmp_path: Path
) -> None:
    """The film shows the speaker, then who listens, then the speaker again."""
    speaker = pictures_of(talking_clips[1].path)
    listener = at_rest(pictures_of(talking_clips[5].path))
    film = [*speaker[:35], *listener[35:50], *speaker[50:]]
    found = heard(recognizer, write_scene(tmp_path / "a.mkv", film, talking_clips[1].path), "all")
    assert found.face == "F1"
    assert not [seen for seen in found.faces if 1.4 <= seen.time < 2.0]
    assert [seen for seen in found.faces if seen.time > 2.0]
    assert [(who.id, who.speaks) for who in found.people] == [("F1", True), ("F2", False)]


@pytest.mark.usefixtures("data_dir")
def test_without_sound_the_largest_face_counts(
    recognizer: EmotionRecognizer, talking_clips: list[Spoken], tmp_path: Path
) -> None:
    one, other = (pictures_of(clip.path) for clip in talking_clips[:2])
    path = write_scene(tmp_path / "a.mkv", beside(one, other), None)
    before = heard(recognizer, path, "largest")
    now = heard(recognizer, path)
    assert sides(now) == sides(before)
    assert now.face == "F1"
    assert "speaker_not_seen" not in now.warnings


def test_no_choice_of_faces_but_three(recognizer: EmotionRecognizer, small_face: Path) -> None:
    with pytest.raises(AvtError, match="speaking, largest, all"):
        recognizer.predict(small_face, faces="loudest")  # type: ignore[arg-type]
    with pytest.raises(AvtError, match="speaking, largest, all"):
        list(recognizer.stream(small_face, faces="loudest"))  # type: ignore[arg-type]


@pytest.mark.usefixtures("data_dir")
def test_a_stream_tells_the_same_face_as_predict(
    recognizer: EmotionRecognizer, talking_clips: list[Spoken], tmp_path: Path
) -> None:
    speaker, other = talking_clips[1].path, talking_clips[5].path
    people = beside(at_rest(pictures_of(other)), pictures_of(speaker))
    path = write_scene(tmp_path / "a.mkv", people, speaker)
    events = recognizer.stream(path, as_fast_as_possible=True, transcribe=False, faces="all")
    (last,) = [event.prediction for event in events if event.kind == "final"]
    predicted = recognizer.predict(path, transcribe=False, faces="all")
    assert utterance_json(last) == utterance_json(predicted.utterances[0])
    assert to_json(predicted)["faces"][0]["id"] == "F1"


@pytest.mark.usefixtures("data_dir")
def test_in_a_group_picture_everybody_has_an_emotion(
    recognizer: EmotionRecognizer, talking_clips: list[Spoken], tmp_path: Path
) -> None:
    three = beside(*(pictures_of(clip.path)[:1] for clip in talking_clips[:3]))[0]
    path = tmp_path / "group.png"
    Image.fromarray(three).save(path)
    plain, found = (recognizer.predict(path, faces=faces) for faces in ("speaking", "all"))
    (turn,) = found.utterances
    assert sorted(face.id for face in turn.faces) == ["F1", "F2", "F3"]
    chosen = next(face for face in turn.faces if face.id == turn.face)
    assert chosen.probabilities == pytest.approx(turn.modalities["visual"].probabilities, abs=1e-5)
    assert without_faces(found) == without_faces(plain)
    assert len(found.faces) == 3
    assert plain.faces == ()
