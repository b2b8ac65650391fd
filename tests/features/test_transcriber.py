"""The packaged recogniser: real speech, silence, and the tokens of the same pass."""

from __future__ import annotations

import sys
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest
import torch
from footage import Spoken
from numpy.typing import NDArray
from word_error import grid_words, normalized, word_errors

from avt_memocmt.errors import AvtError
from avt_memocmt.features.transcriber import Transcriber
from avt_memocmt.features.whisper_encoder import WhisperTinyEncoder
from avt_memocmt.media.types import SAMPLE_RATE
from avt_memocmt.preprocessing.audio_preprocess import load_audio


@pytest.fixture(scope="module")
def transcriber() -> Transcriber:
    return Transcriber(WhisperTinyEncoder())


def noise(seconds: float, level: float) -> NDArray[np.float32]:
    samples = np.random.default_rng(0).standard_normal(int(16_000 * seconds))
    return (level * samples).astype(np.float32)


def test_loading_and_listening_leave_pytorch_its_threads() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        Transcriber(WhisperTinyEncoder()).transcribe(np.zeros(SAMPLE_RATE, np.float32))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_word_errors_on_known_answers() -> None:
    assert grid_words("bbaf2n") == ["bin", "blue", "at", "f", "two", "now"]
    assert normalized("Lay white, by S0 again.") == ["lay", "white", "by", "s", "zero", "again"]
    assert word_errors(["a", "b", "c"], ["a", "x", "c", "d"]) == 2
    assert word_errors(["a", "b"], []) == 2


def test_word_error_rate_on_talking_faces(
    transcriber: Transcriber, talking_clips: list[Spoken]
) -> None:
    errors = 0
    for clip in talking_clips:
        text = transcriber.transcribe(load_audio(clip.path)).text
        errors += word_errors(clip.words.split(), normalized(text))
    assert errors / (6 * len(talking_clips)) <= 0.25


def test_acted_emotional_speech(transcriber: Transcriber, sentences: list[Spoken]) -> None:
    # Of RAVDESS: neither strong intensity nor second takes.
    plain = [one for one in sentences if fnmatch(one.path.name, "03-01-0?-01-0?-01-*")][::30]
    errors = words = 0
    for clip in plain or sentences:
        sentence = clip.words.split()
        words += len(sentence)
        text = transcriber.transcribe(load_audio(clip.path)).text
        errors += word_errors(sentence, normalized(text))
    assert words >= 24
    assert errors / words <= 0.3


def test_the_decoder_does_not_loop(transcriber: Transcriber, data_dir: Path) -> None:
    # Without its guard the decoder says these two sentences three times.
    names = ("03-01-06-02-01-01-01", "03-01-06-02-02-02-07")
    clips = [load_audio(data_dir / "ravdess" / f"{name}.flac") for name in names]
    text = transcriber.transcribe(np.concatenate(clips)).text
    assert 6 <= len(text.split()) <= 14


@pytest.mark.parametrize(
    "names",
    [
        ["grid/brbk7n.mpg", "grid/pwij3p.mpg", "grid/swiz3n.mpg"],
        [f"ravdess/03-01-0{name}.flac" for name in ("1-01-01-01-01", "1-01-01-01-13")]
        + [f"ravdess/03-01-0{name}.flac" for name in ("1-01-01-02-08", "1-01-02-01-02")],
        [
            f"ravdess/03-01-0{name}.flac"
            for name in ("1-01-01-01-13", "3-01-02-02-07", "8-01-02-01-13")
        ],
    ],
    ids=["grid", "ravdess", "quick"],
)
def test_the_decoder_goes_on_after_a_pause(
    transcriber: Transcriber, data_dir: Path, names: list[str]
) -> None:
    # By itself it stops after the first, or the second, of these sentences. Of the last three the
    # words have as many letters as could be said in the time, were it all voice.
    clips = [load_audio(data_dir / name) for name in names]
    text = transcriber.transcribe(np.concatenate(clips)).text
    assert len(normalized(text)) >= 6 * len(names) - 2


def test_nothing_is_added_to_a_complete_transcript(
    transcriber: Transcriber, talking_clips: list[Spoken]
) -> None:
    voice = load_audio(talking_clips[0].path)
    music = np.sin(2 * np.pi * 330 * np.arange(5 * SAMPLE_RATE) / SAMPLE_RATE)
    alone = transcriber.transcribe(voice).text
    before = transcriber.transcribe(np.concatenate([voice, 0.1 * music.astype(np.float32)])).text
    assert abs(len(normalized(before)) - len(normalized(alone))) <= 2


@pytest.mark.parametrize("seconds", [0.5, 4.0])
@pytest.mark.parametrize("level", [0.0, 1e-4, 0.05, 0.3])
def test_no_words_are_invented_for_silence_and_noise(
    transcriber: Transcriber, seconds: float, level: float
) -> None:
    assert transcriber.transcribe(noise(seconds, level)).text == ""


@pytest.mark.parametrize("seconds", [0.05, 2.5, 31.0])
def test_tokens_are_those_of_the_audio_encoder(transcriber: Transcriber, seconds: float) -> None:
    clip = noise(seconds, 0.1)
    tokens = transcriber.transcribe(clip).tokens
    wanted = transcriber.encoder.encode([clip])[0]
    scale = np.abs(wanted.values).max()
    np.testing.assert_allclose(tokens.values / scale, wanted.values / scale, atol=1e-5)
    np.testing.assert_array_equal(tokens.spans, wanted.spans)
    assert tokens.spans[-1, 1] == pytest.approx(seconds)


@pytest.mark.parametrize(("samples", "count"), [(0, 0), (1, 1)])
def test_hardly_any_sound(transcriber: Transcriber, samples: int, count: int) -> None:
    found = transcriber.transcribe(np.zeros(samples, np.float32))
    text, tokens = found.text, found.tokens
    assert text == ""
    assert tokens.values.shape == (count, 5 * 384)


def test_without_ctranslate2_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = WhisperTinyEncoder()
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    monkeypatch.setitem(sys.modules, "ctranslate2.models", None)
    with pytest.raises(AvtError, match=r"avt-memocmt\[embedded\]"):
        Transcriber(encoder)


def test_an_unknown_compute_type_is_one_sentence(transcriber: Transcriber) -> None:
    with pytest.raises(AvtError, match="int3"):
        Transcriber(transcriber.encoder, compute_type="int3")
