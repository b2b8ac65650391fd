"""A held picture is a face for as long as it is shown."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from footage import Spoken
from media_factory import speech_like, write_media
from numpy.typing import NDArray
from plain_pictures import MiddleFace, plain

from avt_memocmt import EmotionRecognizer
from avt_memocmt.inference.results import utterance_json
from avt_memocmt.inference.shown_faces import LONGEST_LIVE, ShownFaces
from avt_memocmt.media.event_order import MOST_PICTURES, in_order_of_time
from avt_memocmt.media.reader import MediaReader
from avt_memocmt.media.types import SAMPLE_RATE, AudioChunk, VideoFrame
from avt_memocmt.preprocessing.face_tracker import FaceObservation, FaceTracker
from avt_memocmt.preprocessing.transcripts import Cue

PERIOD = 0.25


def watched(times: list[float], shades: list[int] | None = None, live: bool = False) -> ShownFaces:
    shown = ShownFaces(FaceTracker(MiddleFace()), PERIOD, live)
    for time, shade in zip(times, shades or [90] * len(times), strict=True):
        shown.push(plain(time, shade))
    return shown


def times(faces: list[FaceObservation]) -> list[float]:
    return [round(face.time, 3) for face in faces]


def test_a_held_picture_counts_once_in_each_period() -> None:
    shown = watched([0.0, 10.0])
    assert times(list(shown.during(0.0, 1.1))) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert times(list(shown.during(5.6, 6.3))) == [5.5, 5.75, 6.0, 6.25]
    assert times(list(shown.during(9.4, 10.6))) == [9.25, 9.5, 9.75, 10.0, 10.25]


@pytest.mark.parametrize("rate", [4.0, 5.0, 7.5, 10.0, 24.0, 25.0, 30.0])
def test_pictures_at_usual_rates_count_as_they_come(rate: float) -> None:
    """A rate that is no multiple of the sampling rate makes some gaps longer than a period."""
    frames = np.arange(0, 8, 1 / rate)
    kept = [float(frames[np.searchsorted(frames, tick - 0.002)]) for tick in np.arange(0, 7, 0.25)]
    shown = watched(kept)
    for start, end in ((0.0, 1.3), (1.31, 1.4), (2.0, 6.0)):
        expected = [time for time in kept if start - PERIOD < time <= end]
        assert times(list(shown.during(start, end))) == times([*map(observation, expected)])


def observation(time: float) -> FaceObservation:
    return FaceObservation(time, None, np.zeros((112, 112, 3), np.uint8), 1, 0)


@pytest.mark.parametrize("seed", range(5))
def test_no_utterance_misses_a_face_that_is_shown(seed: int) -> None:
    draw = np.random.default_rng(seed)
    gaps = draw.choice([0.25, 0.3, 0.4, 0.6, 2.0, 7.0], 40)
    pictures = np.cumsum(gaps) - gaps[0]
    shown = watched(pictures.tolist(), draw.integers(60, 80, 40).tolist())
    start = 0.0
    while start < pictures[-1]:
        end = start + float(draw.uniform(0.05, 3.0))
        found = times(list(shown.during(start, end)))
        assert found == sorted(found)
        assert found[0] - start <= PERIOD
        assert all(later - earlier <= 2 * PERIOD + 0.001 for earlier, later in pairwise(found))
        assert start - PERIOD < found[0]
        assert found[-1] <= end
        start = end + float(draw.uniform(0.0, 1.0))


def test_a_picture_without_a_face_ends_the_one_before() -> None:
    shown = watched([0.0, 3.0, 6.0], [90, 0, 90])
    assert times(list(shown.during(2.0, 4.0))) == [2.0, 2.25, 2.5, 2.75]
    assert list(shown.during(4.0, 5.5)) == []
    assert times(list(shown.during(6.2, 6.6))) == [6.0, 6.25]


def test_the_last_picture_of_a_file_is_shown_to_its_end_but_a_stalled_camera_is_not() -> None:
    assert times(list(watched([0.0]).during(500.0, 500.6))) == [500.0, 500.25]
    stalled = watched([0.0], live=True)
    assert (
        times(list(stalled.during(LONGEST_LIVE - 0.4, LONGEST_LIVE + 3.0)))[-1]
        == LONGEST_LIVE - PERIOD
    )
    assert list(stalled.during(LONGEST_LIVE + 1.0, LONGEST_LIVE + 2.0)) == []


def test_one_picture_in_minutes_of_sound_keeps_little() -> None:
    shown = watched([])
    for index in range(200):
        shown.push(plain(60.0 * index, 90))
        assert len(list(shown.during(60.0 * index, 60.0 * index + 20))) == 80
    assert len(shown._seen) < 10


def write_talk(
    path: Path, pictures: list[NDArray[np.uint8]], times: list[float], codec: str = "libx264"
) -> Path:
    quiet = np.zeros(SAMPLE_RATE, np.float32)
    sound = np.concatenate([speech_like(1.2), quiet, speech_like(1.2), quiet])
    return write_media(
        path,
        picture_times=times,
        images=pictures,
        sound=sound,
        size=pictures[0].shape[1::-1],
        audio_codec="flac",
        video_codec=codec,
        video_options={"preset": "ultrafast", "qp": "0", "bf": "2"},
    )


@pytest.fixture(scope="module")
def face_picture(talking_clip: Spoken) -> NDArray[np.uint8]:
    with MediaReader(talking_clip.path, only="video") as reader:
        first = next(reader.events())
    assert isinstance(first, VideoFrame)
    return first.image


def test_a_held_picture_is_judged_as_one_that_is_repeated(
    recognizer: EmotionRecognizer, face_picture: NDArray[np.uint8], tmp_path: Path
) -> None:
    repeated = np.arange(0, 4.4, PERIOD).tolist()
    talk = write_talk(tmp_path / "talk.mkv", [face_picture] * len(repeated), repeated)
    expected = recognizer.predict(talk, transcribe=False).utterances
    assert len(expected) == 2
    single = write_talk(tmp_path / "single.mkv", [face_picture], [0.0])
    slides = write_talk(tmp_path / "slides.mkv", [face_picture] * 2, [0.0, 2.7])
    streamed = recognizer.stream(str(slides), transcribe=False, hop=0.6, as_fast_as_possible=True)
    finals = [event.prediction for event in streamed if event.kind == "final"]
    found = recognizer.predict(slides, transcribe=False).utterances
    assert [utterance_json(turn) for turn in finals] == [utterance_json(turn) for turn in found]
    alone = recognizer.predict(single, transcribe=False).utterances
    for one, other in zip([*found, *alone], [*expected, *expected], strict=True):
        assert (one.start, one.end, one.warnings) == (other.start, other.end, ())
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=0.02)


def test_captions_and_windows_see_the_held_picture(
    recognizer: EmotionRecognizer, face_picture: NDArray[np.uint8], tmp_path: Path
) -> None:
    slides = write_talk(tmp_path / "slides.mp4", [face_picture] * 2, [0.0, 4.3])
    cues = [Cue("Hello.", 0.2, 1.2), Cue("Good bye.", 2.4, 3.2)]
    for turn in recognizer.predict(slides, cues).utterances:
        assert turn.modalities["visual"].present
    window = recognizer.read_whole(slides, 3.1, 4.0)
    assert "no_face" not in window.warnings
    assert times(list(window.faces)) == pytest.approx([3.1, 3.35, 3.6], abs=0.01)


def test_a_window_begins_with_the_picture_on_the_screen(tmp_path: Path) -> None:
    path = write_media(tmp_path / "slides.mkv", picture_times=[0, 4, 8], shades=[20, 90, 160])

    def found(start: float, end: float) -> list[tuple[float, int]]:
        with MediaReader(path, start=start, end=end) as reader:
            frames = [event for event in reader.events() if isinstance(event, VideoFrame)]
        return [(frame.time, round(int(frame.image[-4, -4, 0]), -1)) for frame in frames]

    assert found(5.0, 6.0) == [(5.0, 90)]
    assert found(7.0, 9.0) == [(7.0, 90), (8.0, 160)]
    assert found(7.9, 9.0) == [(8.0, 160)]
    assert found(4.1, 4.2) == [(4.1, 90)]


def test_pictures_come_before_the_sound_they_belong_to_whatever_the_decoder_holds_back(
    tmp_path: Path,
) -> None:
    path = write_media(
        tmp_path / "slides.mkv",
        picture_times=[0, 5, 10, 15],
        sound=np.zeros(20 * SAMPLE_RATE, np.float32),
        video_options={"preset": "medium", "bf": "3"},
    )
    with MediaReader(path) as reader:
        starts = [e.time if isinstance(e, VideoFrame) else e.start for e in reader.events()]
    assert starts == sorted(starts)


@pytest.mark.parametrize("seed", range(4))
def test_sound_and_pictures_are_merged_by_time_and_none_is_lost(seed: int) -> None:
    draw = np.random.default_rng(seed)
    sound = [AudioChunk(0.1 * n, np.zeros(1600, np.float32)) for n in range(80)]
    pictures = [plain(float(t), 90, (4, 4)) for t in np.sort(draw.uniform(0, 8, 20))]
    late: list[AudioChunk | VideoFrame] = []
    waiting = list(pictures)
    for chunk in sound:
        late.append(chunk)
        while waiting and waiting[0].time < chunk.start - 3 * draw.uniform():
            late.append(waiting.pop(0))
    found = list(in_order_of_time(iter([*late, *waiting])))
    moments = [e.time if isinstance(e, VideoFrame) else e.start for e in found]
    assert moments == sorted(moments)
    assert [e for e in found if isinstance(e, AudioChunk)] == sound
    assert [e for e in found if isinstance(e, VideoFrame)] == pictures


def test_what_waits_for_the_other_kind_is_bounded() -> None:
    taken: list[float] = []

    def pictures() -> object:
        for number in range(40):
            taken.append(float(number))
            yield plain(float(number), 90, (4, 4))

    merged = in_order_of_time(pictures())  # type: ignore[arg-type]
    for frame in merged:
        assert isinstance(frame, VideoFrame)
        assert len(taken) - frame.time <= MOST_PICTURES + 1
