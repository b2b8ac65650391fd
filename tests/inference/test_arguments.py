"""What the recogniser takes: every kind of media and transcript, and a sentence for the others."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from media_factory import speech_like, tone, write_wav
from PIL import Image

from avt_memocmt import EmotionRecognizer
from avt_memocmt.errors import AvtError
from avt_memocmt.inference.results import MediaPrediction
from avt_memocmt.preprocessing.transcripts import Cue

RATE = 16_000
WORDS = (16_384 * speech_like(1.2)).astype(np.int16)


class Pipe(io.RawIOBase):
    """A source that cannot be sought in."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:
        return self._data.readinto(buffer)


def at_its_end(data: bytes) -> io.BytesIO:
    file = io.BytesIO(data)
    file.seek(0, io.SEEK_END)
    return file


KINDS: dict[str, Callable[[Path], object]] = {
    "text": str,
    "path": Path,
    "bytes": Path.read_bytes,
    "bytearray": lambda path: bytearray(path.read_bytes()),
    "memoryview": lambda path: memoryview(path.read_bytes()),
    "file": lambda path: path.open("rb"),
    "written buffer": lambda path: at_its_end(path.read_bytes()),
    "pipe": lambda path: Pipe(path.read_bytes()),
    "samples, rate": lambda path: (WORDS, RATE),
    "rate, samples": lambda path: (RATE, WORDS),
    "floats": lambda path: (WORDS / np.float32(32_768), np.float64(RATE)),
    "two channels in rows": lambda path: (np.stack([WORDS, WORDS]), RATE),
    "two channels in columns": lambda path: (np.stack([WORDS, WORDS], axis=1), RATE),
}


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("talk") / "talk.wav"
    return write_wav(path, WORDS / np.float32(32_767))


@pytest.fixture(scope="module")
def expected(recognizer: EmotionRecognizer, talk: Path) -> MediaPrediction:
    return recognizer.predict(talk, transcribe=False)


@pytest.mark.parametrize("kind", KINDS)
def test_all_kinds_of_the_same_sound_are_judged_alike(
    recognizer: EmotionRecognizer, talk: Path, expected: MediaPrediction, kind: str
) -> None:
    found = recognizer.predict(KINDS[kind](talk), transcribe=False)
    assert found.duration == pytest.approx(expected.duration, abs=0.01)
    for turn, other in zip(found.utterances, expected.utterances, strict=True):
        assert turn.probabilities == pytest.approx(other.probabilities, abs=0.01)
        assert turn.warnings == other.warnings


def test_a_picture_is_judged_as_its_file_is(
    recognizer: EmotionRecognizer, small_face: Path
) -> None:
    expected = recognizer.predict(small_face).utterances
    picture = Image.open(small_face)
    for same in (picture, picture.convert("RGB"), picture.convert("RGB").convert("CMYK")):
        (turn,) = recognizer.predict(same).utterances
        assert turn.probabilities == pytest.approx(expected[0].probabilities, abs=0.01)


def test_a_turned_picture_is_set_upright(recognizer: EmotionRecognizer, small_face: Path) -> None:
    expected = recognizer.predict(small_face).utterances[0].probabilities
    lying = Image.open(small_face).transpose(Image.Transpose.ROTATE_90)
    lying.getexif()[0x0112] = 6  # a viewer turns it by 90 degrees
    found = recognizer.predict(lying).utterances[0].probabilities
    assert found == pytest.approx(expected, abs=0.01)


def test_an_open_file_is_read_twice_where_a_baseline_needs_all(
    recognizer: EmotionRecognizer, talk: Path
) -> None:
    cues = [Cue("I hate this.", 0.0, 0.6, "Ann"), Cue("So do I.", 0.6, 1.2, "Ann")]
    with talk.open("rb") as file:
        found = recognizer.predict(file, cues, speaker_baseline="all")
    assert found.utterances == recognizer.predict(talk, cues, speaker_baseline="all").utterances


@pytest.mark.parametrize("as_path", [False, True])
def test_a_transcript_is_words_or_a_path(
    recognizer: EmotionRecognizer, talk: Path, tmp_path: Path, as_path: bool
) -> None:
    file = tmp_path / "words.txt"
    file.write_text("I am happy", encoding="utf-8")
    found = recognizer.predict(talk, file if as_path else "I am happy").utterances
    assert [(turn.text, turn.text_source) for turn in found] == [("I am happy", "given")]


SOUND = tone(0.5)
REFUSED: dict[str, tuple[object, str]] = {
    "nothing": (None, "media of type NoneType"),
    "number": (5, "media of type int"),
    "empty path": ("", "the path is empty"),
    "empty bytes": (b"", "<bytes> is empty"),
    "empty file": (io.BytesIO(), "<file> is empty"),
    "several": (["a.wav", "b.wav"], "a list is not one media"),
    "too long a path": ("I am happy " * 100, "File name too long"),
    "path of another system": ("a\0b.wav", "does not exist"),
    "no media": (b"a text, not a film", "<bytes> is not media"),
    "text file": (io.StringIO("x"), "opened as text"),
    "array alone": (SOUND, "as \\(samples, rate\\)"),
    "rate in words": ((SOUND, "16k"), "'16k' is no rate"),
    "rate of nothing": ((SOUND, 0), "0 is no rate"),
    "no samples": ((SOUND[:0], RATE), "<sound> is empty"),
    "not finite": ((SOUND * np.float32("nan"), RATE), "not finite"),
    "not sound": ((np.zeros((3, 4, 5), np.float32), RATE), "are no sound"),
    "whole numbers": ((SOUND.astype(np.int64), RATE), "type int64"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_media_are_refused_in_one_sentence(recognizer: EmotionRecognizer, name: str) -> None:
    media, words = REFUSED[name]
    with pytest.raises(AvtError, match=words):
        recognizer.predict(media)


def test_a_closed_file_is_refused(recognizer: EmotionRecognizer, talk: Path) -> None:
    with talk.open("rb") as file:
        pass
    with pytest.raises(AvtError, match="closed"):
        recognizer.predict(file)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"min_confidence": 5}, "5 is no probability"),
        ({"min_confidence": float("nan")}, "nan is no probability"),
        ({"min_confidence": "high"}, "'high' is no probability"),
        ({"speaker_baseline": "future"}, "'future' is unknown"),
        ({"transcript": "a.srt"}, "a.srt does not exist"),
        ({"transcript": b"I am happy"}, "a transcript of type bytes"),
        ({"transcript": ["I am happy"]}, "a transcript of type list"),
    ],
)
def test_other_options_are_refused_in_one_sentence(
    recognizer: EmotionRecognizer, talk: Path, options: dict, words: str
) -> None:
    with pytest.raises(AvtError, match=words):
        recognizer.predict(talk, **options)


def test_the_rest_of_the_interface_refuses_in_one_sentence(recognizer: EmotionRecognizer) -> None:
    with pytest.raises(AvtError, match="stream of type bytes"):
        recognizer.stream(b"")
    with pytest.raises(AvtError, match="names no utterances"):
        recognizer.explain("a.wav", utterances=3)
    with pytest.raises(AvtError, match="engine 'fast' is unknown"):
        EmotionRecognizer.from_pretrained("embedded", "fast")
    with pytest.raises(AvtError, match="not by a NoneType"):
        EmotionRecognizer.from_pretrained(None)
