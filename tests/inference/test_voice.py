"""Sound without a voice: named, no speech, and not judged where anything else is left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from footage import Spoken
from media_factory import write_wav
from numpy.typing import NDArray
from plain_pictures import MiddleFace, plain

from avt_memocmt import EmotionRecognizer
from avt_memocmt.errors import AvtError
from avt_memocmt.inference.live import LiveRecognizer
from avt_memocmt.inference.shown_faces import ShownFaces
from avt_memocmt.inference.utterances import Utterance, UtteranceBuilder
from avt_memocmt.media.types import SAMPLE_RATE, AudioChunk, VideoFrame
from avt_memocmt.preprocessing.audio_preprocess import load_audio
from avt_memocmt.preprocessing.face_tracker import FaceTracker
from avt_memocmt.preprocessing.transcripts import Cue
from avt_memocmt.preprocessing.voice_detector import VoiceDetector


def melody(seconds: float) -> NDArray[np.float32]:
    """Plucked notes, which WebRTC VAD takes for speech."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    beat = time % 0.4
    pitch = np.array([262, 294, 330, 262, 349, 392])[(time / 0.4).astype(int) % 6]
    sound = np.sin(2 * np.pi * pitch * beat) + 0.5 * np.sin(4 * np.pi * pitch * beat)
    return (0.3 * sound * np.exp(-4 * beat)).astype(np.float32)


def noise(seconds: float) -> NDArray[np.float32]:
    samples = np.random.default_rng(0).normal(size=round(seconds * SAMPLE_RATE))
    return (0.05 * samples).astype(np.float32)


def make_builder(recognizer: EmotionRecognizer, *frames: VideoFrame) -> UtteranceBuilder:
    """A builder that hears voices and has seen some pictures."""
    shown = ShownFaces(FaceTracker(MiddleFace()), 0.25)
    for frame in frames:
        shown.push(frame)
    return UtteranceBuilder(recognizer.config, True, shown, VoiceDetector())


@pytest.mark.parametrize("make", [melody, noise])
def test_nobody_speaks_in_music_and_noise(
    recognizer: EmotionRecognizer, tmp_path: Path, make: Callable[[float], NDArray[np.float32]]
) -> None:
    found = recognizer.predict(write_wav(tmp_path / "sound.wav", make(6.0)))
    assert found.utterances
    for turn in found.utterances:
        assert "no_speech" in turn.warnings
        assert (turn.text, turn.text_source) == ("", "none")


def test_sound_without_a_voice_counts_only_where_nothing_else_is_left(
    recognizer: EmotionRecognizer,
) -> None:
    sound, builder = melody(2.0), make_builder(recognizer)
    alone = builder.build(0.0, 2.0, sound)
    told = builder.build(0.0, 2.0, sound, text="Hello.")
    seen = make_builder(recognizer, plain(0.5, 80)).build(0.0, 2.0, sound)
    assert [u.samples is None for u in (alone, told, seen)] == [False, True, True]
    assert [u.is_speech for u in (alone, told, seen)] == [False, True, False]
    assert all("no_speech" in u.warnings for u in (alone, told, seen))


def test_quiet_between_utterances_is_not_judged_beside_a_face(
    recognizer: EmotionRecognizer,
) -> None:
    builder = make_builder(recognizer, plain(0.5, 80))
    quiet = builder.build(0.0, 2.0, noise(2.0), is_speech=False)
    assert quiet.samples is None
    assert quiet.faces


def test_music_around_speech_is_left_out_and_the_words_stay(
    recognizer: EmotionRecognizer, sentences: list[Spoken], tmp_path: Path
) -> None:
    voice, pause = load_audio(sentences[0].path), np.zeros(SAMPLE_RATE, np.float32)
    sound = np.concatenate([melody(4.0), pause, voice, pause, melody(4.0)])
    found = recognizer.predict(write_wav(tmp_path / "film.wav", sound))
    assert found.utterances[0].start > 4.0
    assert found.utterances[-1].end < 5.5 + len(voice) / SAMPLE_RATE
    assert len(" ".join(turn.text for turn in found.utterances).split()) >= 3
    assert not any("no_speech" in turn.warnings for turn in found.utterances)


def test_a_stream_decides_as_the_file_and_soon_says_nothing_of_music_under_way(
    recognizer: EmotionRecognizer, tmp_path: Path
) -> None:
    sound = melody(6.0)
    live = LiveRecognizer(recognizer, has_audio=True, has_video=False, wait_for_words=True)
    events = []
    for first in range(0, len(sound), 1600):
        events += live.push(AudioChunk(first / SAMPLE_RATE, sound[first : first + 1600]))
    events += live.finish()
    # Of less than a second nobody can tell.
    assert all(event.at < 1.5 for event in events if event.kind == "provisional")
    whole = recognizer.predict(write_wav(tmp_path / "music.wav", sound)).utterances
    assert [(e.prediction.start, e.prediction.warnings) for e in events if e.kind == "final"] == [
        (turn.start, turn.warnings) for turn in whole
    ]


def test_a_media_with_unknown_words_alone_is_refused(
    recognizer: EmotionRecognizer, tmp_path: Path
) -> None:
    path = write_wav(tmp_path / "silence.wav", np.zeros(5 * SAMPLE_RATE, np.float32))
    with pytest.raises(AvtError, match="nothing to judge"):
        recognizer.predict(path, [Cue("我很难过", 0.0, 2.0)])
    told = [Cue("我很难过", 0.0, 1.0), Cue("Hi!", 3.0, 4.0)]
    (turn,) = recognizer.predict(path, told).utterances
    assert turn.text == "Hi!"


def test_without_a_detector_the_word_of_the_caller_counts(recognizer: EmotionRecognizer) -> None:
    utterance: Utterance = UtteranceBuilder(recognizer.config, True, None).build(
        0.0, 2.0, melody(2.0)
    )
    assert utterance.is_speech
    assert utterance.warnings == ()
