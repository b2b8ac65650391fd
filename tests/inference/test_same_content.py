"""The same sound or picture gets the same decision, whatever the file that holds it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from footage import Spoken
from media_factory import write_media, write_wav
from numpy.typing import NDArray
from PIL import Image

from avt_memocmt import EmotionRecognizer
from avt_memocmt.inference.results import MediaPrediction
from avt_memocmt.preprocessing.audio_preprocess import load_audio

SOUNDS = {"flac": ".flac", "pcm_s16le": ".mkv", "alac": ".m4a", "pcm_s24le": ".mov", "aac": ".mp4"}


@pytest.fixture(scope="module")
def sound(talking_clip: Spoken) -> NDArray[np.float32]:
    # In the steps of 16 bits, so that every lossless file holds the same.
    return np.round(load_audio(talking_clip.path) * 32767).astype(np.float32) / 32767


@pytest.fixture(scope="module")
def image(talking_clip: Spoken) -> NDArray[np.uint8]:
    with av.open(str(talking_clip.path)) as film:
        return next(film.decode(video=0)).to_ndarray(format="rgb24")


def assert_same(found: MediaPrediction, expected: MediaPrediction) -> None:
    assert len(found.utterances) == len(expected.utterances) > 0
    for one, other in zip(found.utterances, expected.utterances, strict=True):
        assert one.start == pytest.approx(other.start, abs=0.1)
        assert one.end == pytest.approx(other.end, abs=0.1)
        assert one.probabilities == pytest.approx(other.probabilities, abs=0.02)


def test_sound_alone(
    recognizer: EmotionRecognizer, sound: NDArray[np.float32], tmp_path: Path
) -> None:
    wav = recognizer.predict(write_wav(tmp_path / "a.wav", sound), transcribe=False)
    for codec, suffix in SOUNDS.items():
        path = write_media(tmp_path / f"{codec}{suffix}", sound=sound, audio_codec=codec)
        found = recognizer.predict(path, transcribe=False)
        assert_same(found, wav)


def test_picture_alone(
    recognizer: EmotionRecognizer, image: NDArray[np.uint8], tmp_path: Path
) -> None:
    picture = Image.fromarray(image)
    picture.save(tmp_path / "a.png")
    png = recognizer.predict(tmp_path / "a.png")
    picture.save(tmp_path / "a.tiff")
    picture.save(tmp_path / "a.webp", lossless=True)
    for name in ("a.tiff", "a.webp"):
        assert_same(recognizer.predict(tmp_path / name), png)
    one = write_media(
        tmp_path / "one.mp4", picture_times=[0.0], images=[image], **without_loss(image)
    )
    (utterance,) = recognizer.predict(one).utterances
    assert utterance.start == 0.0
    assert utterance.probabilities == pytest.approx(png.utterances[0].probabilities, abs=0.02)


def test_a_picture_that_is_held(
    recognizer: EmotionRecognizer, image: NDArray[np.uint8], tmp_path: Path
) -> None:
    mkv, mp4 = (held(image, tmp_path / name) for name in ("held.mkv", "held.mp4"))
    assert_same(recognizer.predict(mp4), recognizer.predict(mkv))


def test_a_held_picture_of_grid_beside_the_picture_itself(
    recognizer: EmotionRecognizer, data_dir: Path, image: NDArray[np.uint8], tmp_path: Path
) -> None:
    # As long as it is held it is looked at again, and the looks differ a little: more than this in
    # a face that changes with how it is cut out, less in one of GRID.
    Image.fromarray(image).save(tmp_path / "a.png")
    (png,) = recognizer.predict(tmp_path / "a.png").utterances
    (utterance,) = recognizer.predict(held(image, tmp_path / "held.mkv")).utterances
    assert utterance.start == 0.0
    assert utterance.probabilities == pytest.approx(png.probabilities, abs=0.05)


def held(image: NDArray[np.uint8], path: Path) -> Path:
    """A film in which one picture is shown for two seconds."""
    return write_media(path, picture_times=[0, 2], images=[image] * 2, **without_loss(image))


def without_loss(image: NDArray[np.uint8]) -> dict[str, Any]:
    """How `write_media` keeps a picture as it is."""
    return {"size": image.shape[1::-1], "video_options": {"qp": "0"}}
